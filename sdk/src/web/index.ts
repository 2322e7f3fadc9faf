import type { Host } from "../host";
import { extendConsole } from "./console";
import { shown, useHost } from "./platform";

/*
 * The web platform: globals that are evaluated when a script first reads one of them. Until then a guild pays for
 * an accessor each, which all guilds share.
 */

// Only `require` makes esbuild wrap a module so that it is evaluated here and not when the SDK is loaded.
declare const require: (module: string) => Record<string, unknown>;

type Chunk = readonly [load: () => Record<string, unknown>, ...names: string[]];

const CHUNKS: readonly Chunk[] = [
  [() => require("./dom"), "DOMException", "Event", "CustomEvent", "EventTarget", "AbortController", "AbortSignal"],
  [() => require("./encoding"), "TextEncoder", "TextDecoder", "atob", "btoa"],
  [() => require("./url"), "URL", "URLSearchParams"],
  [() => require("./pattern"), "URLPattern"],
  [() => require("./blob"), "Blob", "File", "FormData"],
  [() => require("./headers"), "Headers"],
  [() => require("./fetch"), "fetch", "Request", "Response"],
  [
    () => require("./streams"),
    "ReadableStream",
    "ReadableStreamDefaultReader",
    "ReadableStreamBYOBReader",
    "ReadableStreamDefaultController",
    "ReadableByteStreamController",
    "ReadableStreamBYOBRequest",
    "WritableStream",
    "WritableStreamDefaultWriter",
    "WritableStreamDefaultController",
    "TransformStream",
    "TransformStreamDefaultController",
    "ByteLengthQueuingStrategy",
    "CountQueuingStrategy",
    "TextEncoderStream",
    "TextDecoderStream",
  ],
  [() => require("./crypto"), "crypto", "Crypto", "CryptoKey", "SubtleCrypto"],
  [() => require("./clone"), "structuredClone"],
  [() => require("./performance"), "performance", "Performance"],
];

/** Runs once, in the fork server. */
export function installWeb(host: Host): void {
  useHost(host);
  host.showWith(shown);
  extendConsole();
  for (const [load, ...names] of CHUNKS) {
    for (const name of names) lazily(load, name);
  }
}

function lazily(load: () => Record<string, unknown>, name: string): void {
  const settle = (value: unknown): void => {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  };
  Object.defineProperty(globalThis, name, {
    get() {
      const value = load()[name];
      settle(value);
      return value;
    },
    set: settle,
    configurable: true,
    enumerable: false,
  });
}
