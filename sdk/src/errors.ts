import { Error } from "./intrinsics";
import type { Host } from "./host";

/*
 * The engine makes these from the host's answer: `new Class(message)`, then `code` and the fields of the
 * answer are set on the instance. The initial values are what an SDK-side throw carries.
 */

export class DiscordHttpError extends Error {
  override readonly name = "DiscordHttpError";
  readonly code: string = "DISCORD_HTTP_ERROR";
  readonly status: number = 0;
  readonly discordCode: number = 0;

  /** The first flora's name of `discordCode`. */
  get discord_code(): number {
    return this.discordCode;
  }
}

export class RateLimitedError extends Error {
  override readonly name = "RateLimitedError";
  readonly code: string = "DISCORD_RATE_LIMITED";
  readonly status: number = 429;
  readonly retryAfterMs: number = 0;
}

export class ScopeForbiddenError extends Error {
  override readonly name = "ScopeForbiddenError";
  readonly code: string = "SCOPE_FORBIDDEN";
}

export class InvalidInputError extends Error {
  override readonly name = "InvalidInputError";
  readonly code: string = "INVALID_INPUT";
}

export class KvError extends Error {
  override readonly name = "KvError";
  readonly code: string = "KV_ERROR";
}

export class UnknownOpError extends Error {
  override readonly name = "UnknownOpError";
  readonly code: string = "UNKNOWN_OP";
}

export const errorClasses = {
  DiscordHttpError,
  RateLimitedError,
  ScopeForbiddenError,
  InvalidInputError,
  KvError,
  UnknownOpError,
};

export function defineErrors(host: Host): void {
  host.defineError("DiscordHttpError", DiscordHttpError);
  host.defineError("RateLimitedError", RateLimitedError);
  host.defineError("ScopeForbiddenError", ScopeForbiddenError);
  host.defineError("InvalidInputError", InvalidInputError);
  host.defineError("KvError", KvError);
  host.defineError("UnknownOpError", UnknownOpError);
}

/** The one wording of a refused argument, the same as the host's. */
export function invalid(field: string, reason: string): InvalidInputError {
  return new InvalidInputError(`Invalid input for ${field}: ${reason}`);
}
