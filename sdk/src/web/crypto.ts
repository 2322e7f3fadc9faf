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
    const bytes = data(keyData).slice();
    const wanted = [...(usages as Iterable<string>)].map(String);
    switch (nameOf(algorithm)) {
      case "HMAC":
        if (format !== "raw") throw unsupported(`the key format ${format as string}`);
        if (bytes.length === 0) throw new DOMException("the key is empty", "DataError");
        return hmacKey(bytes, hashOf((algorithm as any).hash), !!extractable, wanted);
      case "ED25519":
        switch (format) {
          case "raw":
            return edKey("public", checkedKey(bytes), !!extractable, wanted);
          case "spki":
            return edKey("public", unwrapped(bytes, SPKI), !!extractable, wanted);
          case "pkcs8":
            return edKey("private", unwrapped(bytes, PKCS8), !!extractable, wanted);
          default:
            throw unsupported(`the key format ${format as string}`);
        }
      default:
        throw unsupported(nameOf(algorithm));
    }
  }

  async exportKey(format: unknown, key: unknown): Promise<ArrayBuffer> {
    needs(2, arguments.length, "exportKey");
    if (!(key instanceof CryptoKey)) throw new TypeError("a CryptoKey is needed");
    if (!key.extractable) throw new DOMException("the key is not extractable", "InvalidAccessError");
    const bytes = secretOf(key).slice();
    if (format === "raw" && key.type !== "private") return bytes.buffer;
    if (format === "spki" && key.type === "public") return wrapped(bytes, SPKI).buffer;
    if (format === "pkcs8" && key.type === "private") return wrapped(bytes, PKCS8).buffer;
    throw unsupported(`the key format ${format as string} of a ${key.type} key`);
  }

  async generateKey(
    algorithm: unknown,
    extractable: unknown,
    usages: unknown,
  ): Promise<CryptoKey | { publicKey: CryptoKey; privateKey: CryptoKey }> {
    needs(3, arguments.length, "generateKey");
    const wanted = [...(usages as Iterable<string>)].map(String);
    switch (nameOf(algorithm)) {
      case "HMAC": {
        const hash = hashOf((algorithm as any).hash);
        const length: unknown = (algorithm as any).length;
        const bytes = new Uint8Array(length === undefined ? HASHES[hash]! : Math.ceil(Number(length) / 8));
        randomBytes(bytes);
        return hmacKey(bytes, hash, !!extractable, wanted);
      }
      case "ED25519": {
        checked(wanted, ["sign", "verify"]);
        const seed = new Uint8Array(ED_KEY);
        randomBytes(seed);
        const verifies = wanted.filter((usage) => usage === "verify");
        const privateKey = edKey("private", seed, !!extractable, wanted.filter((usage) => usage === "sign"));
        const bytes = await ask("crypto_public_key", { key: seed.toBase64() });
        // A public key may always be read; one that nothing verifies with may still be given away.
        return { publicKey: makeKey("public", bytes, true, verifies), privateKey };
      }
      default:
        throw unsupported(nameOf(algorithm));
    }
  }

  async sign(algorithm: unknown, key: unknown, value: unknown): Promise<ArrayBuffer> {
    needs(3, arguments.length, "sign");
    switch (nameOf(algorithm)) {
      case "HMAC":
        return (await hmac(usable(key, "HMAC", "sign"), data(value))).buffer;
      case "ED25519": {
        const seed = secretOf(usable(key, "ED25519", "sign")).toBase64();
        return (await ask("crypto_sign", { key: seed, data: data(value).toBase64() })).buffer;
      }
      default:
        throw unsupported(nameOf(algorithm));
    }
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

const ED_KEY = 32; // bytes of a public key, and of a private key's seed
/** What stands before a key of Ed25519 in PKCS #8 and in SubjectPublicKeyInfo (RFC 8410); DER, so always the same. */
const PKCS8 = Uint8Array.fromHex("302e020100300506032b657004220420");
const SPKI = Uint8Array.fromHex("302a300506032b6570032100");

function checkedKey(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (bytes.length !== ED_KEY) throw new DOMException(`a public key of Ed25519 has ${ED_KEY} bytes`, "DataError");
  return bytes;
}

function unwrapped(bytes: Uint8Array<ArrayBuffer>, head: Uint8Array): Uint8Array<ArrayBuffer> {
  if (bytes.length !== head.length + ED_KEY || !sameBytes(bytes.slice(0, head.length), head)) {
    throw new DOMException("this is no key of Ed25519", "DataError");
  }
  return bytes.slice(head.length);
}

function wrapped(bytes: Uint8Array, head: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(head.length + bytes.length);
  out.set(head);
  out.set(bytes, head.length);
  return out;
}

function edKey(type: "public" | "private", bytes: Uint8Array<ArrayBuffer>, extractable: boolean, usages: string[]): CryptoKey {
  const possible = [type === "public" ? "verify" : "sign"];
  // A public key without a use can still be exported.
  return makeKey(type, bytes, extractable, type === "public" && usages.length === 0 ? [] : checked(usages, possible));
}

function makeKey(type: string, bytes: Uint8Array<ArrayBuffer>, extractable: boolean, usages: string[]): CryptoKey {
  return new CryptoKey(MAKE, bytes, { type, algorithm: { name: "Ed25519" }, extractable, usages });
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
