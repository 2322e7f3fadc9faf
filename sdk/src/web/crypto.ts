import { DOMException } from "./dom";
import { bytesOf, expose, host, isRecord, needs, showing } from "./platform";
import { randomBytes } from "./random";

/**
 * Web Cryptography: random values here, digests and signatures by the host, which has them in C. A key is raw
 * bytes; what is not here is refused with a NotSupportedError.
 */

const MAKE = Symbol("make");
const HASHES: Readonly<Record<string, number>> = { "SHA-1": 64, "SHA-256": 64, "SHA-384": 128, "SHA-512": 128 }; // bytes of a block
const MAX_RANDOM = 65536;

type Algorithm = { readonly name: string; readonly hash?: { readonly name: string }; readonly length?: number };

let secretOf: (key: CryptoKey) => Uint8Array<ArrayBuffer>;

export class CryptoKey {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #facts: { type: string; algorithm: Algorithm; extractable: boolean; usages: readonly string[] };

  static {
    secretOf = (key) => key.#bytes;
  }

  constructor(make?: unknown, bytes?: Uint8Array<ArrayBuffer>, facts?: any) {
    if (make !== MAKE) throw new TypeError("a CryptoKey is made by crypto.subtle");
    this.#bytes = bytes!;
    this.#facts = facts;
  }

  get type(): string {
    return this.#facts.type;
  }

  get algorithm(): Algorithm {
    return this.#facts.algorithm;
  }

  get extractable(): boolean {
    return this.#facts.extractable;
  }

  get usages(): string[] {
    return [...this.#facts.usages];
  }
}
expose(CryptoKey, "CryptoKey", showing("type", "algorithm", "extractable", "usages"));

function unsupported(what: string): DOMException {
  return new DOMException(`${what} is not supported here`, "NotSupportedError");
}

function nameOf(algorithm: unknown): string {
  const name = isRecord(algorithm) ? algorithm.name : algorithm;
  if (typeof name !== "string") throw new TypeError("an algorithm is a name or an object with one");
  return name.toUpperCase();
}

function hashOf(algorithm: unknown): string {
  const name = nameOf(algorithm);
  if (!Object.hasOwn(HASHES, name)) throw unsupported(name);
  return name;
}

function data(value: unknown): Uint8Array<ArrayBuffer> {
  const bytes = bytesOf(value);
  if (bytes === undefined) throw new TypeError("an ArrayBuffer or a view of one is needed");
  return bytes;
}

async function ask(op: string, args: Record<string, unknown>): Promise<Uint8Array<ArrayBuffer>> {
  const answer = (await host().op(op, { __proto__: null, ...args })) as string;
  return Uint8Array.fromBase64(answer) as Uint8Array<ArrayBuffer>;
}

function usable(key: unknown, name: string, usage: string): CryptoKey {
  if (!(key instanceof CryptoKey)) throw new TypeError("a CryptoKey is needed");
  if (key.algorithm.name.toUpperCase() !== name || !key.usages.includes(usage)) {
    throw new DOMException(`the key is not for ${name} ${usage}`, "InvalidAccessError");
  }
  return key;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ (b[i] ?? 0);
  return difference === 0;
}

export class SubtleCrypto {
  constructor(make?: unknown) {
    if (make !== MAKE) throw new TypeError("there is one SubtleCrypto: crypto.subtle");
  }

  async digest(algorithm: unknown, value: unknown): Promise<ArrayBuffer> {
    needs(2, arguments.length, "digest");
    return (await ask("crypto_digest", { hash: hashOf(algorithm), data: data(value).toBase64() })).buffer;
  }

  async importKey(format: unknown, keyData: unknown, algorithm: unknown, extractable: unknown, usages: unknown): Promise<CryptoKey> {
    needs(5, arguments.length, "importKey");
    if (format !== "raw") throw unsupported(`the key format ${format as string}`);
    const bytes = data(keyData).slice();
    const wanted = [...(usages as Iterable<string>)].map(String);
    switch (nameOf(algorithm)) {
      case "HMAC":
        if (bytes.length === 0) throw new DOMException("the key is empty", "DataError");
        return hmacKey(bytes, hashOf((algorithm as any).hash), !!extractable, wanted);
      case "ED25519":
        if (bytes.length !== 32) throw new DOMException("a public key of Ed25519 has 32 bytes", "DataError");
        return new CryptoKey(MAKE, bytes, {
          type: "public",
          algorithm: { name: "Ed25519" },
          extractable: !!extractable,
          usages: checked(wanted, ["verify"]),
        });
      default:
        throw unsupported(nameOf(algorithm));
    }
  }

  async exportKey(format: unknown, key: unknown): Promise<ArrayBuffer> {
    needs(2, arguments.length, "exportKey");
    if (format !== "raw") throw unsupported(`the key format ${format as string}`);
    if (!(key instanceof CryptoKey)) throw new TypeError("a CryptoKey is needed");
    if (!key.extractable) throw new DOMException("the key is not extractable", "InvalidAccessError");
    return secretOf(key).slice().buffer;
  }

  async generateKey(algorithm: unknown, extractable: unknown, usages: unknown): Promise<CryptoKey> {
    needs(3, arguments.length, "generateKey");
    if (nameOf(algorithm) !== "HMAC") throw unsupported(nameOf(algorithm));
    const hash = hashOf((algorithm as any).hash);
    const length: unknown = (algorithm as any).length;
    const bytes = new Uint8Array(length === undefined ? HASHES[hash]! : Math.ceil(Number(length) / 8));
    randomBytes(bytes);
    return hmacKey(bytes, hash, !!extractable, [...(usages as Iterable<string>)].map(String));
  }

  async sign(algorithm: unknown, key: unknown, value: unknown): Promise<ArrayBuffer> {
    needs(3, arguments.length, "sign");
    if (nameOf(algorithm) !== "HMAC") throw unsupported(nameOf(algorithm));
    return (await hmac(usable(key, "HMAC", "sign"), data(value))).buffer;
  }

  async verify(algorithm: unknown, key: unknown, signature: unknown, value: unknown): Promise<boolean> {
    needs(4, arguments.length, "verify");
    const given = data(signature);
    switch (nameOf(algorithm)) {
      case "HMAC":
        return sameBytes(await hmac(usable(key, "HMAC", "verify"), data(value)), given);
      case "ED25519": {
        const args = {
          key: secretOf(usable(key, "ED25519", "verify")).toBase64(),
          signature: given.toBase64(),
          data: data(value).toBase64(),
        };
        return (await host().op("crypto_verify", { __proto__: null, ...args })) === true;
      }
      default:
        throw unsupported(nameOf(algorithm));
    }
  }
}
expose(SubtleCrypto, "SubtleCrypto");

for (const name of ["encrypt", "decrypt", "deriveKey", "deriveBits", "wrapKey", "unwrapKey"]) {
  Object.defineProperty(SubtleCrypto.prototype, name, {
    value: async () => {
      throw unsupported(name);
    },
    writable: true,
    configurable: true,
    enumerable: true,
  });
}

function hmacKey(bytes: Uint8Array<ArrayBuffer>, hash: string, extractable: boolean, usages: string[]): CryptoKey {
  return new CryptoKey(MAKE, bytes, {
    type: "secret",
    algorithm: { name: "HMAC", hash: { name: hash }, length: bytes.length * 8 },
    extractable,
    usages: checked(usages, ["sign", "verify"]),
  });
}

function checked(usages: readonly string[], possible: readonly string[]): string[] {
  if (usages.length === 0 || usages.some((usage) => !possible.includes(usage))) {
    throw new DOMException(`the usages of this key are ${possible.join(" and ")}`, "SyntaxError");
  }
  return possible.filter((usage) => usages.includes(usage));
}

function hmac(key: CryptoKey, value: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const hash = key.algorithm.hash!.name;
  return ask("crypto_hmac", { hash, key: secretOf(key).toBase64(), data: value.toBase64() });
}

export class Crypto {
  readonly #subtle = new SubtleCrypto(MAKE);

  constructor(make?: unknown) {
    if (make !== MAKE) throw new TypeError("there is one Crypto: crypto");
  }

  get subtle(): SubtleCrypto {
    return this.#subtle;
  }

  getRandomValues<T>(array: T): T {
    const view: unknown = array;
    if (!ArrayBuffer.isView(view) || view instanceof DataView || view instanceof Float32Array || view instanceof Float64Array) {
      throw new DOMException("getRandomValues fills arrays of whole numbers", "TypeMismatchError");
    }
    if (view.byteLength > MAX_RANDOM) {
      throw new DOMException(`getRandomValues fills at most ${MAX_RANDOM} bytes`, "QuotaExceededError");
    }
    randomBytes(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
    return array;
  }

  /** Version 4 (RFC 9562). */
  randomUUID(): string {
    const bytes = new Uint8Array(16);
    randomBytes(bytes);
    bytes[6] = (bytes[6]! & 0x0f) | 0x40;
    bytes[8] = (bytes[8]! & 0x3f) | 0x80;
    const hex = bytes.toHex();
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  }
}
expose(Crypto, "Crypto");

export const crypto = new Crypto(MAKE);
