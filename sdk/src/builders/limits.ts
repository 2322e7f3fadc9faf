import { invalid } from "../errors";
import { Array, Number } from "../intrinsics";

/*
 * Checks at the line where the author wrote the value, with Discord's limits. What concerns a whole message
 * (five rows, one select per row, an accessory that is missing) is checked by the host when it is sent.
 */

export function text(field: string, value: string, most: number, least = 0): string {
  if (typeof value !== "string") throw invalid(field, `text is needed, not ${typeof value}`);
  if (value.length < least || value.length > most) {
    throw invalid(field, `text of ${least} to ${most} characters is needed, this has ${value.length}`);
  }
  return value;
}

export function integer(field: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw invalid(field, `a whole number from ${least} to ${most} is needed, not ${value}`);
  }
  return value;
}

export function list<T>(field: string, value: readonly T[], most: number): T[] {
  if (!Array.isArray(value)) throw invalid(field, "a list is needed");
  if (value.length > most) throw invalid(field, `Discord takes at most ${most}, these are ${value.length}`);
  return [...value];
}

/** https://discord.com/developers/docs/components/reference */
export const MAX_CUSTOM_ID = 100;
export const MAX_URL = 2048;
export const MAX_COLOR = 0xffffff;
