/**
 * The built-ins that the SDK uses, taken before any guild code runs.
 *
 * A script that replaces a global (a polyfill, a fake clock, a `Map` of its own) must not break the SDK for
 * itself. This is a courtesy, not a defence: the guild process is the boundary.
 */
const realm = globalThis;

export const Array = { isArray: realm.Array.isArray };
export const BigInt = realm.BigInt;
export const Date = { now: realm.Date.now };
export const Error = realm.Error;
export const JSON = { stringify: realm.JSON.stringify };
export const Map = realm.Map;
export const Math = { ceil: realm.Math.ceil, max: realm.Math.max };
export const Number = { isInteger: realm.Number.isInteger };
export const Object = {
  defineProperty: realm.Object.defineProperty,
  entries: realm.Object.entries,
  freeze: realm.Object.freeze,
  hasOwn: realm.Object.hasOwn,
  keys: realm.Object.keys,
};
export const Promise = { resolve: realm.Promise.resolve.bind(realm.Promise) };
export const RegExp = realm.RegExp;
export const Set = realm.Set;
export const String = realm.String;
export const Uint8Array = realm.Uint8Array;
