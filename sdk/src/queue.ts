import { Promise } from "./intrinsics";

/** One for all queues, which most events never use: a promise is the dearest object of the engine. */
const settled: Promise<unknown> = Promise.resolve();

/**
 * Runs the steps of one conversation one after another, in call order: a follow-up must not overtake the reply.
 *
 * The first step starts at once, so that an op counts to the event whose handler asked, also when the handler
 * does not await it. A failed step does not stop the ones behind it.
 */
export class Queue {
  #waiting = 0;
  #tail: Promise<unknown> = settled;

  run<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#waiting === 0 ? step() : this.#tail.then(step);
    this.#waiting += 1;
    const done = (): void => void (this.#waiting -= 1);
    this.#tail = result.then(done, done);
    // A promise of its own: the tail's handlers would hide a failure that the script never looks at.
    return result.then((value) => value);
  }
}
