import { contextsOf, type Context } from "./context";
import { InvalidInputError } from "./errors";
import { canonicalEvent, dispatchOf, eventOf } from "./events";
import type { DispatchMeta, Host } from "./host";
import { Map, Set, String } from "./intrinsics";
import type { Manifest } from "./manifest";

/** Which context an event's handlers get is said by the event map of flora.d.ts. */
export type AnyHandler = (ctx: never) => unknown;
type Handler = (ctx: Context) => unknown;

interface Registration {
  readonly handler: Handler;
  readonly once: boolean;
  /** Of messages, it looks only at those of people whose text begins with this. */
  readonly prefix: string | undefined;
  active: boolean;
}

/** The handlers of a script, and the way of an event through them. */
export class Handlers {
  readonly #host: Host;
  readonly #manifest: Manifest;
  readonly #byEvent = new Map<string, Registration[]>();

  constructor(host: Host, manifest: Manifest) {
    this.#host = host;
    this.#manifest = manifest;
  }

  on(event: string, handler: AnyHandler): void {
    this.#add(event, handler, false);
  }

  /** A handler that does nothing with messages of bots, nor with text that does not begin with `prefix`. */
  onPrefix(prefix: string, handler: AnyHandler): void {
    this.#add("messageCreate", handler, false, prefix);
  }

  once(event: string, handler: AnyHandler): void {
    this.#add(event, handler, true);
  }

  /** Without a handler: all of the event's. Handlers that have not started yet for an event under way do not run. */
  off(event: string, handler?: AnyHandler): void {
    const name = canonicalEvent(event);
    const kept: Registration[] = [];
    for (const registration of this.#byEvent.get(name) ?? []) {
      if (handler === undefined || registration.handler === handler) registration.active = false;
      else kept.push(registration);
    }
    this.#keep(name, kept);
  }

  handles(event: string): boolean {
    return this.#byEvent.has(event);
  }

  #add(event: string, handler: AnyHandler, once: boolean, prefix?: string): void {
    if (typeof event !== "string" || event === "") throw new InvalidInputError("the event's name must be text");
    if (typeof handler !== "function") {
      throw new InvalidInputError(`the handler of "${event}" must be a function, not ${typeof handler}`);
    }
    const name = canonicalEvent(event);
    const registration = { handler: handler as Handler, once, prefix, active: true };
    this.#keep(name, [...(this.#byEvent.get(name) ?? []), registration]);
  }

  /** Lists are replaced, never changed, so that an event under way goes on with the list it started with. */
  #keep(name: string, registrations: Registration[]): void {
    if (registrations.length === 0) this.#byEvent.delete(name);
    else this.#byEvent.set(name, registrations);
    const dispatches = new Set<string>();
    for (const event of this.#byEvent.keys()) dispatches.add(dispatchOf(event));
    this.#manifest.listensTo([...dispatches].sort(), this.#prefix());
  }

  /** The prefix that all handlers of messages look for; undefined when one of them wants every message. */
  #prefix(): string | undefined {
    const [first, ...others] = this.#byEvent.get("messageCreate") ?? [];
    return others.every((each) => each.prefix === first?.prefix) ? first?.prefix : undefined;
  }

  /**
   * Runs the handlers in the order of their registration, each to its end. One that throws does not keep the
   * others from running; the first error is thrown at the end, the others go to the log.
   *
   * What it returns is to be awaited. A single handler's result is returned as it is: most events have one.
   */
  dispatch(dispatch: string, payload: unknown, meta: DispatchMeta): unknown {
    const event = eventOf(dispatch, payload);
    const registrations = event === null ? undefined : this.#byEvent.get(event);
    if (event === null || registrations === undefined) return undefined;
    const context = contextsOf(this.#host, event, payload, meta);
    const [first] = registrations;
    if (registrations.length > 1 || first === undefined) return this.#runAll(event, registrations, context);
    if (!first.active) return undefined;
    if (first.once) this.#spend(event, first);
    return first.handler(context());
  }

  async #runAll(event: string, registrations: readonly Registration[], context: () => Context): Promise<void> {
    let failed = false;
    let first: unknown;
    for (const registration of registrations) {
      if (!registration.active) continue;
      if (registration.once) this.#spend(event, registration);
      try {
        await registration.handler(context());
      } catch (error) {
        if (failed) this.#host.log("error", `another handler of ${event} failed too: ${describe(error)}`);
        else [failed, first] = [true, error];
      }
    }
    if (failed) throw first;
  }

  #spend(event: string, registration: Registration): void {
    registration.active = false;
    const rest = this.#byEvent.get(event)?.filter((each) => each !== registration) ?? [];
    this.#keep(event, rest);
  }
}

function describe(error: unknown): string {
  const stack = (error as { stack?: unknown } | null | undefined)?.stack;
  return typeof stack === "string" && stack !== "" ? `${String(error)}\n${stack}` : String(error);
}
