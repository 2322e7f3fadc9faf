import type { Host } from "../host";

/*
 * Virtual time: it stands still until the test moves it. The host keeps the clock and the timers, so that a timer
 * that is due is an answer to the op by which its own event set it, and what its callback does belongs to that event.
 * Before `start` (in the fork server) everything is as it always is.
 */

type Callback = (...args: unknown[]) => void;

const NativeDate = Date;
const nativeNow = Date.now;
const native = { setTimeout, setInterval, clearTimeout, clearInterval };

export class VirtualTime {
  #host: Host | undefined;
  #now = 0;
  #lastTimer = 0;
  readonly #timers = new Set<number>();

  /** Takes the place of the realm's timers and of `Date.now`. */
  constructor() {
    NativeDate.now = () => (this.#host === undefined ? nativeNow() : this.#now);
    define("setTimeout", (callback: Callback, delay?: unknown, ...args: unknown[]) =>
      this.#host === undefined
        ? native.setTimeout(callback, delay as number, ...args)
        : this.#set(this.#host, callback, delay, args, false),
    );
    define("setInterval", (callback: Callback, delay?: unknown, ...args: unknown[]) =>
      this.#host === undefined
        ? native.setInterval(callback, delay as number, ...args)
        : this.#set(this.#host, callback, delay, args, true),
    );
    define("clearTimeout", (id: number | undefined) => this.#clear(id, native.clearTimeout));
    define("clearInterval", (id: number | undefined) => this.#clear(id, native.clearInterval));
  }

  /** `now` in milliseconds since 1970. */
  start(host: Host, now: number): void {
    this.#host = host;
    this.#now = now;
    const began = now;
    const time = this;
    const VirtualDate = function (this: unknown, ...args: unknown[]): unknown {
      if (new.target === undefined) return new NativeDate(time.#now).toString();
      return Reflect.construct(NativeDate, args.length === 0 ? [time.#now] : args, new.target);
    };
    VirtualDate.prototype = NativeDate.prototype;
    Object.assign(VirtualDate, { UTC: NativeDate.UTC, parse: NativeDate.parse, now: NativeDate.now });
    Object.defineProperty(NativeDate.prototype, "constructor", { value: VirtualDate, writable: true, configurable: true });
    define("Date", VirtualDate);
    const performance: unknown = Reflect.get(globalThis, "performance");
    if (typeof performance === "object" && performance !== null) {
      Object.defineProperty(performance, "now", { value: () => time.#now - began, configurable: true });
    }
  }

  /** The host has moved the clock. */
  set(now: number): void {
    this.#now = now;
  }

  #set(host: Host, callback: Callback, delay: unknown, args: unknown[], repeats: boolean): number {
    if (typeof callback !== "function") throw new TypeError("a timer needs a function");
    const milliseconds = Math.max(1, Number(delay ?? 0) || 1);
    const id = ++this.#lastTimer;
    this.#timers.add(id);
    const arm = async (): Promise<void> => {
      await host.op("test_timer", { id, delay: milliseconds });
      if (!this.#timers.has(id)) return;
      if (!repeats) this.#timers.delete(id);
      else void arm();
      callback(...args); // what it throws is an unhandled rejection, which fails the test
    };
    void arm();
    return id;
  }

  #clear(id: number | undefined, otherwise: (id: number | undefined) => void): void {
    if (this.#host === undefined) otherwise(id);
    else if (id !== undefined && this.#timers.delete(id)) void this.#host.op("test_clear", { id });
  }
}

function define(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
}
