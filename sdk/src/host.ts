/** What the engine gives the SDK; made by the engine's prelude before any guild code runs. */
export interface Host {
  /** Known only after the fork, so read it late and never while the SDK is installed. */
  readonly guildId: string;
  /** When the guild process began, in milliseconds since 1970; known only after the fork. */
  readonly startedAt: number;
  /** Random bytes of the kernel's as hexadecimal digits, once; then "". Never while the SDK is installed. */
  takeEntropy(): string;
  /** Carries out one op. Arguments and result are JSON; rejects with a class given to `defineError`. */
  op(name: string, args: unknown): Promise<unknown>;
  log(level: LogLevel, text: string): void;
  /**
   * Replaces what the script listens to, and the commands and cron jobs it wants. Absent is "none declared".
   * With a `prefix` it wants only those messages of people whose text begins with it.
   */
  declare(manifest: { listens: string[]; prefix?: string; commands?: unknown; crons?: unknown }): void;
  /** How the console shows objects of the web platform; `show` gives undefined for all others. */
  showWith(show: (value: object) => { name: string; value: unknown } | undefined): void;
  defineError(name: string, ctor: new (message: string) => Error): void;
}

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";

/** What the engine gets back: the one way into a script. */
export interface Sdk {
  /** Runs the handlers of one gateway event, which ends with what this returns; `name` is Discord's, `payload` its `d`. */
  dispatch(name: string, payload: unknown, meta: DispatchMeta): unknown;
}

export interface DispatchMeta {
  readonly id: string;
  /** 1 for the first delivery. */
  readonly attempt: number;
}
