import type { DispatchMeta, Host, Sdk } from "../host";
import { snakeCase } from "../names";
import { secretsChanged } from "../secrets";
import { makeBot } from "./bot";
import { expect } from "./expect";
import * as factories from "./factories";
import { harnessOf } from "./harness";
import { TestResult, type RawResult } from "./result";
import { Registry } from "./registry";
import { VirtualTime } from "./time";
import { FakeWeb, hasUrls } from "./web";

/** What the host dispatches to the test kit itself. */
const COMMAND = "FLORA_TEST";

type Command =
  | { readonly action: "begin"; readonly now: number; readonly mode: "list" | "run"; readonly world: World }
  | { readonly action: "now"; readonly now: number }
  | { readonly action: "list" }
  | { readonly action: "run"; readonly index: number };

/** Ids by name, of what the test's guild has to begin with. */
export interface World {
  readonly guildId: string;
  readonly applicationId: string;
  readonly channels: { readonly [name: string]: string };
  readonly roles: { readonly [name: string]: string };
  readonly users: { readonly [name: string]: string };
}

/** What a script asks of the host, answered by the test instead. */
export type Answer = unknown | ((args: never) => unknown);

interface Declared {
  readonly listens: string[];
  readonly commands?: unknown;
  readonly crons?: unknown;
}

/** One per guild process: stands between the production SDK and the host, and carries out what the host commands. */
export class Kit {
  readonly time = new VirtualTime();
  readonly web = new FakeWeb(this);
  readonly registry = new Registry();
  /** What the script takes for its guild's id in place of its own. */
  guildId: string | undefined;
  readonly #evaluate: () => (host: Host) => Sdk;
  #installProduction: ((host: Host) => Sdk) | undefined;
  #native!: Host;
  #sdk!: Sdk;
  #world: World | undefined;
  #mode: "list" | "run" = "list";
  #declared: Declared = { listens: [] };
  /** Of what the production SDK logs and the console writes, in order: the arguments of line n. */
  readonly #lines: unknown[][] = [];
  readonly #answers = new Map<string, Answer>();
  readonly #thrown = new Map<string, unknown>();
  #secrets: Record<string, string> = {};
  /** The same for every SDK of this process. */
  #entropy = "";

  constructor(evaluate: () => (host: Host) => Sdk) {
    this.#evaluate = evaluate;
  }

  install(host: Host): Sdk {
    this.#native = host;
    this.#installProduction = replaceable(this.#evaluate);
    this.forget();
    this.#expose();
    return { dispatch: (name, payload, meta) => this.#dispatch(name, payload, meta) };
  }

  get world(): World {
    if (this.#world === undefined) throw new Error("this is known once the test runs");
    return this.#world;
  }

  /** A production SDK that knows of no handler and no command. */
  forget(): void {
    this.#declared = { listens: [] };
    this.#sdk = this.#installProduction!(this.#host());
    this.#tellSecrets();
  }

  /** Asks the host's side of the test kit. */
  ask(op: string, args: object): Promise<unknown> {
    return this.#native.op(op, args);
  }

  /** Lets something happen in the guild and waits until the script has done all that it does about it. */
  async act(request: object): Promise<TestResult> {
    // What was registered just now is declared in a microtask.
    for (let turn = 0; turn < 3; turn += 1) await undefined;
    const raw = (await this.#native.op("test_act", { ...request, manifest: this.#declared })) as RawResult;
    return this.#result(raw);
  }

  async advance(milliseconds: number): Promise<TestResult> {
    if (!(milliseconds >= 0)) throw new RangeError("time goes forward: a number of milliseconds is needed");
    const request = { ms: milliseconds, manifest: this.#declared };
    return this.#result((await this.#native.op("test_advance", request)) as RawResult);
  }

  async everything(): Promise<TestResult> {
    return this.#result((await this.#native.op("test_calls", {})) as RawResult);
  }

  answer(op: string, answer: Answer): void {
    this.#answers.set(canonicalOp(op), answer);
  }

  unanswer(op?: string): void {
    if (op === undefined) this.#answers.clear();
    else this.#answers.delete(canonicalOp(op));
  }

  secret(name: string, value: string | null): void {
    if (value === null) delete this.#secrets[name];
    else this.#secrets[name] = value;
    this.#tellSecrets();
  }

  #tellSecrets(): void {
    void this.#sdk.dispatch(secretsChanged, { ...this.#secrets }, { id: "secrets", attempt: 1 });
  }

  #result(raw: RawResult): TestResult {
    const { failure } = raw;
    if (failure !== null) {
      const thrown = failure.eventId === null ? undefined : this.#thrown.get(failure.eventId);
      throw thrown ?? Object.assign(new Error(failure.message), { name: failure.name });
    }
    return new TestResult(raw, (line) => this.#lines[line]);
  }

  /** The host as the production SDK sees it. */
  #host(): Host {
    const kit = this;
    const native = this.#native;
    return {
      get guildId() {
        return kit.guildId ?? native.guildId;
      },
      get startedAt() {
        return native.startedAt;
      },
      takeEntropy: () => (kit.#entropy ||= native.takeEntropy()),
      op: (name, args) => {
        if (kit.#answers.has(name)) return kit.#stubbed(name, args);
        return hasUrls(args) ? kit.web.withFiles(args).then((sent) => native.op(name, sent)) : native.op(name, args);
      },
      log: (level, text) => {
        kit.#lines.push([text]);
        native.log(level, text);
      },
      declare: (manifest) => {
        kit.#declared = manifest;
        native.declare(manifest);
      },
      showWith: (show) => native.showWith(show),
      defineError: (name, ctor) => native.defineError(name, ctor),
    };
  }

  async #stubbed(op: string, args: unknown): Promise<unknown> {
    const answer = this.#answers.get(op);
    let result: unknown;
    try {
      result = typeof answer === "function" ? await answer(args) : answer;
      if (result instanceof Error) throw result;
    } catch (thrown) {
      await this.#native.op("test_stubbed", { op, args, error: String(thrown) });
      throw thrown;
    }
    await this.#native.op("test_stubbed", { op, args, result: result ?? null });
    return result ?? null;
  }

  async #dispatch(name: string, payload: unknown, meta: DispatchMeta): Promise<void> {
    if (name === COMMAND) return this.#command(payload as Command);
    try {
      await this.#sdk.dispatch(name, payload, meta);
    } catch (thrown) {
      this.#thrown.set(meta.id, thrown);
      throw thrown;
    }
  }

  async #command(command: Command): Promise<void> {
    switch (command.action) {
      case "begin":
        this.#mode = command.mode;
        this.#world = command.world;
        this.#lines.length = 0; // the fork server's rehearsal had some
        this.time.start(this.#native, command.now);
        this.web.start();
        return;
      case "now":
        this.time.set(command.now);
        return;
      case "list":
        await this.#native.op("test_list", { tests: this.registry.list() });
        return;
      case "run":
        return this.registry.run(command.index);
    }
  }

  #expose(): void {
    for (const level of ["log", "info", "warn", "error", "debug", "trace", "table"] as const) {
      const write = console[level];
      console[level] = (...data: unknown[]) => {
        this.#lines.push(data);
        (write as (...data: unknown[]) => void)(...data);
      };
    }
    const { test, describe, beforeEach, afterEach } = this.registry;
    const surface: typeof import("flora:test") = {
      test,
      it: test,
      describe,
      beforeEach,
      afterEach,
      expect,
      bot: makeBot(this),
      TestHarness: harnessOf(this),
      ...factories.forKit(this),
      discordError: (status: number, discordCode: number, message: string) =>
        Object.assign(new DiscordHttpError(message), { status, discordCode }),
    };
    const kit = {
      ...surface,
      /** Called by the bundle: the test file first, whose imports may be of the bot; then the bot as it is deployed. */
      load: async (tests: () => Promise<unknown>, bot?: () => Promise<unknown>): Promise<void> => {
        await tests();
        if (this.#mode === "run") await bot?.();
      },
    };
    Object.defineProperty(globalThis, "__floraTest", { value: kit });
  }
}

/**
 * What `evaluate` gives, with a `defineProperty` (which it takes when it is evaluated) by which its globals can be
 * defined again: `forget` installs the SDK anew.
 */
function replaceable<T>(evaluate: () => T): T {
  const original = Object.defineProperty;
  Object.defineProperty = (target, name, descriptor) =>
    original(target, name, target === globalThis ? { ...descriptor, configurable: true } : descriptor);
  try {
    return evaluate();
  } finally {
    Object.defineProperty = original;
  }
}

/** `sendMessage`, `send_message` and the first flora's `op_send_message` are the same op. */
export function canonicalOp(op: string): string {
  return snakeCase(op.replace(/^op_/, "").replace(/^(rest|guild|kv)\./, (_, of: string) => (of === "kv" ? "kv_" : "")));
}
