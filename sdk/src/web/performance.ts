import { expose, host } from "./platform";

/** performance.now (High Resolution Time), in whole milliseconds: the engine has no finer clock for scripts. */

const MAKE = Symbol("make");

export class Performance {
  #last = 0;

  constructor(make?: unknown) {
    if (make !== MAKE) throw new TypeError("there is one Performance: performance");
  }

  /** Milliseconds since the guild process began; never goes back. */
  now(): number {
    return (this.#last = Math.max(this.#last, Date.now() - host().startedAt));
  }

  get timeOrigin(): number {
    return host().startedAt;
  }

  toJSON(): object {
    return { timeOrigin: this.timeOrigin };
  }
}
expose(Performance, "Performance");

export const performance = new Performance(MAKE);
