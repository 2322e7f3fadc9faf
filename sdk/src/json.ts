import { Array, Object } from "./intrinsics";

/** A JSON object whose shape nobody has checked: everything that Discord sends. */
export type Json = Record<string, unknown>;

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function objectOr(value: unknown, fallback: Json = {}): Json {
  return isObject(value) ? value : fallback;
}

export function arrayOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function stringOr<T>(value: unknown, fallback: T): string | T {
  return typeof value === "string" ? value : fallback;
}

/** The same with undefined fields left out, so that equal values are equal JSON. */
export function defined(value: Json): Json {
  const out: Json = {};
  for (const key of Object.keys(value)) if (value[key] !== undefined) out[key] = value[key];
  return out;
}
