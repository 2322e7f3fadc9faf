/**
 * The language's own globals, taken before any guild code runs. esbuild puts these in the place of the free
 * names in all of the SDK and in what it bundles (`--inject`), so that what is evaluated later, on its first use,
 * still gets the genuine ones.
 */
const realm = globalThis;

export const Array = realm.Array;
export const ArrayBuffer = realm.ArrayBuffer;
export const BigInt = realm.BigInt;
export const BigInt64Array = realm.BigInt64Array;
export const BigUint64Array = realm.BigUint64Array;
export const Boolean = realm.Boolean;
export const DataView = realm.DataView;
export const Date = realm.Date;
export const Error = realm.Error;
export const EvalError = realm.EvalError;
export const Float32Array = realm.Float32Array;
export const Float64Array = realm.Float64Array;
export const Function = realm.Function;
export const Int16Array = realm.Int16Array;
export const Int32Array = realm.Int32Array;
export const Int8Array = realm.Int8Array;
export const JSON = realm.JSON;
export const Map = realm.Map;
export const Math = realm.Math;
export const Number = realm.Number;
export const Object = realm.Object;
export const Promise = realm.Promise;
export const RangeError = realm.RangeError;
export const ReferenceError = realm.ReferenceError;
export const Reflect = realm.Reflect;
export const RegExp = realm.RegExp;
export const Set = realm.Set;
export const String = realm.String;
export const Symbol = realm.Symbol;
export const SyntaxError = realm.SyntaxError;
export const TypeError = realm.TypeError;
export const URIError = realm.URIError;
export const Uint16Array = realm.Uint16Array;
export const Uint32Array = realm.Uint32Array;
export const Uint8Array = realm.Uint8Array;
export const Uint8ClampedArray = realm.Uint8ClampedArray;
export const WeakMap = realm.WeakMap;
export const WeakRef = realm.WeakRef;
export const WeakSet = realm.WeakSet;
export const clearTimeout = realm.clearTimeout;
export const decodeURIComponent = realm.decodeURIComponent;
export const encodeURIComponent = realm.encodeURIComponent;
export const isNaN = realm.isNaN;
export const parseFloat = realm.parseFloat;
export const parseInt = realm.parseInt;
export const queueMicrotask = realm.queueMicrotask;
export const setTimeout = realm.setTimeout;
