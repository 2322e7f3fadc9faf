import { Blob, blobBytes, File } from "./blob";
import { CryptoKey } from "./crypto";
import { DOMException } from "./dom";
import { isRecord, needs } from "./platform";

/** structuredClone (HTML Standard, "safe passing of structured data"). */

const ERRORS: readonly (readonly [string, ErrorConstructor])[] = [
  ["EvalError", EvalError],
  ["RangeError", RangeError],
  ["ReferenceError", ReferenceError],
  ["SyntaxError", SyntaxError],
  ["TypeError", TypeError],
  ["URIError", URIError],
];
const byteLength = getter(ArrayBuffer.prototype, "byteLength");
const mapSize = getter(Map.prototype, "size");
const setSize = getter(Set.prototype, "size");
const regExpSource = getter(RegExp.prototype, "source");
const regExpFlags = getter(RegExp.prototype, "flags");
const dateValue = Date.prototype.valueOf;
const numberValue = Number.prototype.valueOf;
const stringValue = String.prototype.valueOf;
const booleanValue = Boolean.prototype.valueOf;
const bigIntValue = BigInt.prototype.valueOf;
const regExpTest = RegExp.prototype.toString;
const mapForEach = Map.prototype.forEach;
const setForEach = Set.prototype.forEach;

function getter(prototype: object, name: PropertyKey): (this: unknown) => any {
  return Reflect.getOwnPropertyDescriptor(prototype, name)!.get!;
}

/** Whether `value` has the internal slot that `method` reads; its own properties have no say in that. */
function has(method: (...args: any[]) => unknown, value: object): boolean {
  try {
    Reflect.apply(method, value, []);
    return true;
  } catch {
    return false;
  }
}

function refuse(value: unknown): DOMException {
  const what = typeof value === "symbol" ? "a symbol" : typeof value === "function" ? "a function" : "this object";
  return new DOMException(`${what} cannot be cloned`, "DataCloneError");
}

export function structuredClone(value: unknown, options: unknown = {}): unknown {
  needs(1, arguments.length, "structuredClone");
  const transfer = isRecord(options) && options.transfer !== undefined ? [...(options.transfer as Iterable<unknown>)] : [];
  const moving = new Set<object>();
  for (const each of transfer) {
    if (!isRecord(each) || !has(byteLength, each) || (each as ArrayBuffer).detached || moving.has(each)) {
      throw new DOMException("only an ArrayBuffer can be transferred, and once", "DataCloneError");
    }
    moving.add(each);
  }
  const copy = clone(value, new Map());
  // Nothing is taken away unless everything could be cloned.
  for (const each of moving) (each as ArrayBuffer).transfer();
  return copy;
}

type Memory = Map<object, unknown>;

function clone(value: unknown, memory: Memory): unknown {
  if (typeof value === "symbol" || typeof value === "function") throw refuse(value);
  if (typeof value !== "object" || value === null) return value;
  const known = memory.get(value);
  if (known !== undefined) return known;
  const made = shell(value, memory);
  memory.set(value, made);
  fill(value, made, memory);
  return made;
}

/** The clone without what is inside of it. */
function shell(value: object, memory: Memory): object {
  if (has(booleanValue, value)) return Object(booleanValue.call(value as any));
  if (has(numberValue, value)) return Object(numberValue.call(value as any));
  if (has(stringValue, value)) return Object(stringValue.call(value as any));
  if (has(bigIntValue, value)) return Object(bigIntValue.call(value as any));
  if (has(dateValue, value)) return new Date(dateValue.call(value as globalThis.Date));
  if (value instanceof RegExp && has(regExpTest, value)) {
    return new RegExp(Reflect.apply(regExpSource, value, []), Reflect.apply(regExpFlags, value, []));
  }
  if (has(byteLength, value)) {
    const buffer = value as ArrayBuffer;
    if (buffer.detached) throw new DOMException("the ArrayBuffer is detached", "DataCloneError");
    return resizable(buffer) ? grown(buffer) : buffer.slice(0);
  }
  if (ArrayBuffer.isView(value)) return view(value, clone(value.buffer, memory) as ArrayBuffer);
  if (has(mapSize, value)) return new Map();
  if (has(setSize, value)) return new Set();
  if (Array.isArray(value)) return new Array(value.length);
  if (value instanceof File) {
    return new File([blobBytes(value)], value.name, { type: value.type, lastModified: value.lastModified });
  }
  if (value instanceof Blob) return new Blob([blobBytes(value)], { type: value.type });
  if (value instanceof DOMException) return new DOMException(value.message, value.name);
  if (value instanceof CryptoKey) return value; // it cannot change
  if (value instanceof Error) return errorOf(value);
  if (!plain(value)) throw refuse(value);
  return {};
}

const PLATFORM = new Set(
  (
    "AbortController AbortSignal AsyncGenerator Crypto CustomEvent Event EventTarget FormData Generator Headers " +
    "Performance Promise ReadableStream Request Response SubtleCrypto TextDecoder TextEncoder TransformStream URL " +
    "URLSearchParams WeakMap WeakRef WeakSet WritableStream"
  ).split(" "),
);

/** Not one of the platform's or the language's own, which have a state that nobody sees. */
function plain(value: object): boolean {
  for (let prototype = Reflect.getPrototypeOf(value); prototype !== null; prototype = Reflect.getPrototypeOf(prototype)) {
    const tag = Reflect.getOwnPropertyDescriptor(prototype, Symbol.toStringTag)?.value;
    if (typeof tag === "string" && PLATFORM.has(tag)) return false;
  }
  return true;
}

function resizable(buffer: ArrayBuffer): boolean {
  return (buffer as { resizable?: boolean }).resizable === true;
}

function grown(buffer: ArrayBuffer): ArrayBuffer {
  const { maxByteLength } = buffer as unknown as { maxByteLength: number };
  const copy = new ArrayBuffer(buffer.byteLength, { maxByteLength });
  new Uint8Array(copy).set(new Uint8Array(buffer));
  return copy;
}

const typeName = getter(Reflect.getPrototypeOf(Uint8Array.prototype)!, Symbol.toStringTag);
const VIEWS: Readonly<Record<string, new (buffer: ArrayBuffer, at: number, length: number) => object>> = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
};

function view(value: ArrayBufferView, buffer: ArrayBuffer): object {
  if (value instanceof DataView) return new DataView(buffer, value.byteOffset, value.byteLength);
  return new VIEWS[Reflect.apply(typeName, value, [])]!(buffer, value.byteOffset, (value as Uint8Array).length);
}

function errorOf(value: Error): Error {
  const name = `${value.name}`;
  const known = ERRORS.find((each) => each[0] === name)?.[1] ?? Error;
  const message = Reflect.getOwnPropertyDescriptor(value, "message");
  const error = new known();
  const define = (key: string, content: unknown): void => {
    Object.defineProperty(error, key, { value: content, writable: true, configurable: true, enumerable: false });
  };
  if (message !== undefined && "value" in message) define("message", `${message.value}`);
  define("stack", `${value.stack}`);
  return error;
}

function fill(value: object, made: object, memory: Memory): void {
  if (made instanceof Map) {
    const pairs: [unknown, unknown][] = [];
    mapForEach.call(value as globalThis.Map<unknown, unknown>, (content, key) => pairs.push([key, content]));
    for (const [key, content] of pairs) made.set(clone(key, memory), clone(content, memory));
  } else if (made instanceof Set) {
    const contents: unknown[] = [];
    setForEach.call(value as globalThis.Set<unknown>, (content) => contents.push(content));
    for (const content of contents) made.add(clone(content, memory));
  } else if (Array.isArray(made) || Reflect.getPrototypeOf(made) === Object.prototype) {
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(value, key)) continue; // a getter took it away
      const content = clone((value as any)[key], memory);
      Object.defineProperty(made, key, { value: content, writable: true, configurable: true, enumerable: true });
    }
  } else if (made instanceof Error && value instanceof Error && !(made instanceof DOMException)) {
    if (Object.hasOwn(value, "cause")) {
      const content = clone(value.cause, memory);
      Object.defineProperty(made, "cause", { value: content, writable: true, configurable: true, enumerable: false });
    }
  }
}
