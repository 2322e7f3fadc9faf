import { contextsOf } from "./context";
import { invalid } from "./errors";
import type { DispatchMeta, Host } from "./host";
import { Array, Error, Map } from "./intrinsics";
import { defined, isObject, objectOr, type Json } from "./json";
import type { Manifest } from "./manifest";

/*
 * `cron`: the script says what it wants to run when, in its manifest; the host keeps the time and dispatches each run
 * as an event `__cron:<name>`. Expressions are the host's to understand.
 */

const { TypeError } = globalThis;
const prefix = "__cron:";
const catchUps: readonly unknown[] = ["none", "latest", "all"];

interface Job {
  readonly handler: (ctx: any) => unknown;
  readonly channelId: unknown;
}

export class Crons {
  readonly #host: Host;
  readonly #manifest: Manifest;
  readonly #jobs = new Map<string, Job>();
  #declared: readonly Json[] = [];

  constructor(host: Host, manifest: Manifest) {
    this.#host = host;
    this.#manifest = manifest;
  }

  readonly cron = (name: unknown, expression: unknown, handler: unknown, options?: unknown): void => {
    if (typeof name !== "string" || name === "") throw new TypeError("cron name must be a non-empty string");
    if (typeof expression !== "string" || expression === "") {
      throw new TypeError("cron expression must be a non-empty string");
    }
    if (typeof handler !== "function") throw new TypeError("cron handler must be a function");
    if (this.#jobs.has(name)) throw new Error(`cron job with name '${name}' already exists`);
    const { timeZone, skipIfRunning, catchUp, jitter, channelId } = checked(options);
    this.#jobs.set(name, { handler: handler as Job["handler"], channelId: channelId ?? null });
    const stack = `${new Error("cron").stack ?? ""}`.slice(0, 4000);
    this.#declared = [
      ...this.#declared,
      defined({ name, expression, timeZone, skipIfRunning, catchUp, jitter, stack }),
    ];
    this.#manifest.wantsCrons(this.#declared);
  };

  /** Whether a dispatch is a run of a job; its handler is then `run`. */
  owns(dispatch: string): boolean {
    return dispatch.startsWith(prefix);
  }

  async run(dispatch: string, payload: unknown, meta: DispatchMeta): Promise<void> {
    const name = dispatch.slice(prefix.length);
    const job = this.#jobs.get(name);
    if (job === undefined) throw new Error(`the script has no cron job '${name}' any more`);
    const { scheduledAt, trigger } = objectOr(payload);
    const msg = { name, scheduledAt, guildId: this.#host.guildId, channelId: job.channelId };
    const context = contextsOf(this.#host, "cron", msg, meta)();
    await job.handler({ ...context, raw: payload, name, scheduledAt, trigger: trigger ?? "schedule" });
  }
}

function checked(options: unknown): Json {
  if (options === undefined || options === null) return {};
  if (!isObject(options)) throw new TypeError("cron options must be an object");
  const { timeZone, skipIfRunning, catchUp, jitter, channelId } = options;
  if (timeZone !== undefined && typeof timeZone !== "string") throw new TypeError("cron timeZone must be a string");
  if (skipIfRunning !== undefined && typeof skipIfRunning !== "boolean") {
    throw new TypeError("cron skipIfRunning must be a boolean");
  }
  if (catchUp !== undefined && !catchUps.includes(catchUp)) {
    throw new TypeError('cron catchUp must be "none", "latest" or "all"');
  }
  if (jitter !== undefined && typeof jitter !== "number") throw new TypeError("cron jitter must be a number of seconds");
  return { timeZone, skipIfRunning, catchUp, jitter, channelId };
}

/** `tasks`: each method is an op of the host, which keeps them and dispatches each one that is due as event `TASK`. */
export function makeTasks(host: Host): Tasks {
  return {
    schedule(task: unknown): Promise<any> {
      if (!isObject(task) || Array.isArray(task)) throw invalid("task", "an object such as { in: \"10m\", data } is needed");
      const { key, at, in: delay, data, channelId } = task;
      return host.op("task_schedule", defined({ key, at, in: delay, data, channelId }));
    },
    async cancel(key: string): Promise<boolean> {
      return (await host.op("task_cancel", { key })) === true;
    },
    list(options?: { prefix?: string }): Promise<any> {
      return host.op("task_list", defined({ prefix: objectOr(options).prefix }));
    },
  };
}
