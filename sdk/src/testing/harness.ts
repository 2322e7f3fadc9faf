import { canonicalEvent, dispatchOf } from "../events";
import { snakeCase } from "../names";
import { forKit } from "./factories";
import { canonicalOp, type Kit } from "./kit";
import type { TestResult } from "./result";

type Shape = { [key: string]: any };
type HarnessClass = typeof import("flora:test").TestHarness;
type RecordedCall = import("flora:test").RecordedCall;

/** https://discord.com/developers/docs/interactions/receiving-and-responding#interaction-object-interaction-type */
const INTERACTIONS: { readonly [event: string]: number } = {
  interactionCreate: 2,
  componentInteraction: 3,
  autocomplete: 4,
  modalSubmit: 5,
};

/**
 * `TestHarness`: the first flora's way to test a piece of a bot. What `setup` registers is all that runs, events are
 * forged, and what the script asks of Discord is written down and answered by the test.
 */
export function harnessOf(kit: Kit): HarnessClass {
  const make = forKit(kit);

  class TestHarness {
    readonly #calls: RecordedCall[] = [];
    readonly #mocked = new Set<string>();
    readonly #secrets = new Set<string>();

    constructor(options: { guildId?: string; secrets?: { readonly [name: string]: string } } = {}) {
      kit.guildId = options.guildId;
      for (const [name, value] of Object.entries(options.secrets ?? {})) this.setSecret(name, value);
    }

    get kv(): Kv {
      return kv;
    }

    async setup(register: () => unknown): Promise<void> {
      kit.forget();
      await register();
    }

    reset(): void {
      this.teardown();
      this.#calls.length = 0;
    }

    teardown(): void {
      for (const op of this.#mocked) kit.unanswer(op);
      for (const name of this.#secrets) kit.secret(name, null);
      this.#mocked.clear();
      this.#secrets.clear();
      kit.forget();
    }

    async dispatch(event: string, payload: Shape = {}): Promise<TestResult> {
      const name = canonicalEvent(event);
      return this.#done(await kit.act({ do: "event", name: dispatchOf(name), payload: raw(name, payload), forged: true }));
    }

    message(partial: Shape = {}): Promise<TestResult> {
      return this.dispatch("messageCreate", make.makeMessage(partial));
    }

    interaction(name: string, options: Shape = {}, partial: Shape = {}): Promise<TestResult> {
      return this.dispatch("interactionCreate", make.makeInteraction(name, options as never, partial));
    }

    componentInteraction(customId: string, partial: Shape = {}): Promise<TestResult> {
      return this.dispatch("componentInteraction", make.makeComponentInteraction(customId, partial));
    }

    modalSubmit(customId: string, fields: Shape = {}, partial: Shape = {}): Promise<TestResult> {
      return this.dispatch("modalSubmit", make.makeModalSubmit(customId, fields, partial));
    }

    reaction(partial: Shape = {}): Promise<TestResult> {
      return this.dispatch("reactionAdd", make.makeReaction(partial));
    }

    ready(partial: Shape = {}): Promise<TestResult> {
      return this.dispatch("ready", make.makeReady(partial));
    }

    async triggerCron(name: string): Promise<TestResult> {
      return this.#done(await kit.act({ do: "cron", name }));
    }

    mockResponse(op: string, answer: unknown): void {
      this.#mocked.add(canonicalOp(op));
      kit.answer(op, answer);
    }

    setSecret(name: string, value: string): void {
      this.#secrets.add(name);
      kit.secret(name, value);
    }

    allCalls(): RecordedCall[] {
      return [...this.#calls];
    }

    #done(result: TestResult): TestResult {
      this.#calls.push(...result.calls);
      return result;
    }
  }
  return TestHarness as HarnessClass;
}

/** A payload as Discord would have sent it, from the shape of `ctx.msg`. Discord's own names pass. */
function raw(event: string, payload: Shape): Shape {
  const type = INTERACTIONS[event];
  const out = snaked(payload) as Shape;
  if (type === undefined) return out;
  const { interaction_id, interaction_token, message_id, ...more } = out;
  return {
    type,
    ...more,
    id: interaction_id ?? out.id,
    token: interaction_token ?? out.token,
    ...(message_id == null ? {} : { message: { id: message_id, channel_id: out.channel_id } }),
  };
}

const verbatim = new Set(["data", "components"]);

function snaked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snaked);
  if (typeof value !== "object" || value === null) return value;
  const out: Shape = {};
  for (const [key, each] of Object.entries(value)) out[snakeCase(key)] = verbatim.has(key) ? each : snaked(each);
  return out;
}
