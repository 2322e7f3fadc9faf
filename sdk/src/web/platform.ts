import type { Host } from "../host";

/** What the chunks share: the host, and small helpers of Web IDL. */

let current: Host;

export function useHost(host: Host): void {
  current = host;
}

export function host(): Host {
  return current;
}

type Show = (value: any) => unknown;
const shows = new Map<object, { readonly name: string; readonly show: Show }>();

/** What the console shows of an object of the platform: what `expose` was given for its class. */
export function shown(value: object): { name: string; value: unknown } | undefined {
  for (let at = Object.getPrototypeOf(value); at !== null; at = Object.getPrototypeOf(at)) {
    const found = shows.get(at);
    if (found !== undefined) return { name: found.name, value: found.show(value) };
  }
  return undefined;
}

/** `members` of the object, as `shown` has it. */
export function showing(...members: string[]): Show {
  return (value) => Object.fromEntries(members.map((name) => [name, value[name]]));
}

/**
 * Makes a class look as Web IDL has it: enumerable members, its name as its tag. `show` gives what the console shows
 * after the name: text, or an object.
 */
export function expose(constructor: { readonly prototype: object }, name: string, show?: Show): void {
  const prototype = constructor.prototype;
  showAs(constructor, name, show);
  for (const key of Object.getOwnPropertyNames(prototype)) {
    if (key !== "constructor") Object.defineProperty(prototype, key, { enumerable: true });
  }
  Object.defineProperty(prototype, Symbol.toStringTag, { value: name, configurable: true });
  Object.defineProperty(constructor, "name", { value: name, configurable: true });
}

/** `show` for a class that has all the rest already. */
export function showAs(constructor: { readonly prototype: object }, name: string, show?: Show): void {
  if (show !== undefined) shows.set(constructor.prototype, { name, show });
}

/** Constants such as `Event.AT_TARGET`, on a class and its instances. */
export function constants(constructor: { readonly prototype: object }, values: Readonly<Record<string, number>>): void {
  for (const place of [constructor, constructor.prototype]) {
    for (const [name, value] of Object.entries(values)) Object.defineProperty(place, name, { value, enumerable: true });
  }
}

export function needs(count: number, given: number, where: string): void {
  if (given < count) throw new TypeError(`${where} needs ${count} argument${count === 1 ? "" : "s"}, this has ${given}`);
}

/** Web IDL's USVString: no half of a surrogate pair. */
export function usv(value: unknown): string {
  return `${value as string}`.toWellFormed();
}

export function isRecord(value: unknown): value is Record<PropertyKey, any> {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

/** The bytes of a buffer or a view, shared with it; undefined for anything else. */
export function bytesOf(value: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (value instanceof Uint8Array) return value as Uint8Array<ArrayBuffer>;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return undefined;
}

/** Bytes one after another. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let size = 0;
  for (const part of parts) size += part.length;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
