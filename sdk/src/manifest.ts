import type { Host } from "./host";
import { Promise } from "./intrinsics";

/**
 * What the host must know about the script. Changes made in one go are declared once, in a microtask that runs
 * before anything awaited after them, so that the state at the end of loading is complete.
 */
export class Manifest {
  readonly #host: Host;
  #listens: string[] = [];
  #commands: unknown[] | undefined = undefined;
  #crons: readonly unknown[] | undefined = undefined;
  #scheduled = false;

  constructor(host: Host) {
    this.#host = host;
  }

  listensTo(listens: string[]): void {
    if (listens.length === this.#listens.length && listens.every((name, index) => name === this.#listens[index])) return;
    this.#listens = listens;
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
      const crons = this.#crons === undefined ? {} : { crons: this.#crons };
      this.#host.declare({ listens: this.#listens, ...commands, ...crons });
    });
  }
}
