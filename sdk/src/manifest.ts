import type { Host } from "./host";
import { Promise } from "./intrinsics";

/**
 * What the host must know about the script. Changes made in one go are declared once, in a microtask that runs
 * before anything awaited after them, so that the state at the end of loading is complete.
 */
export class Manifest {
  readonly #host: Host;
  #listens: string[] = [];
  #prefix: string | undefined = undefined;
  #commands: unknown[] | undefined = undefined;
  #crons: readonly unknown[] | undefined = undefined;
  #scheduled = false;

  constructor(host: Host) {
    this.#host = host;
  }

  /** With a `prefix` it wants only those messages of people whose text begins with it. */
  listensTo(listens: string[], prefix: string | undefined): void {
    const same = listens.length === this.#listens.length && listens.every((name, index) => name === this.#listens[index]);
    if (same && prefix === this.#prefix) return;
    this.#listens = listens;
    this.#prefix = prefix;
    this.#schedule();
  }

  /** The whole set of application commands; the host brings Discord in line with it. */
  wantsCommands(commands: unknown[]): void {
    this.#commands = commands;
    this.#schedule();
  }

  /** The whole set of cron jobs. */
  wantsCrons(crons: readonly unknown[]): void {
    this.#crons = crons;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    void Promise.resolve().then(() => {
      this.#scheduled = false;
      const commands = this.#commands === undefined ? {} : { commands: this.#commands };
      const prefix = this.#prefix === undefined ? {} : { prefix: this.#prefix };
      const crons = this.#crons === undefined ? {} : { crons: this.#crons };
      this.#host.declare({ listens: this.#listens, ...prefix, ...commands, ...crons });
    });
  }
}
