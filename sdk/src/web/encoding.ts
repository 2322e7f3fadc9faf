import { DOMException } from "./dom";
import { bytesOf, expose, isRecord, needs } from "./platform";
import { encodeInto, encodeUtf8, Utf8Decoder } from "./utf8";

/** TextEncoder, TextDecoder (Encoding Standard) and base64 (HTML Standard, Infra Standard). */

export class TextEncoder {
  get encoding(): string {
    return "utf-8";
  }

  encode(text: unknown = ""): Uint8Array<ArrayBuffer> {
    return encodeUtf8(`${text as string}`);
  }

  encodeInto(text: unknown, destination: Uint8Array): { read: number; written: number } {
    needs(2, arguments.length, "TextEncoder.encodeInto");
    if (!(destination instanceof Uint8Array)) throw new TypeError("encodeInto writes into a Uint8Array");
    return encodeInto(`${text as string}`, destination);
  }
}
expose(TextEncoder, "TextEncoder");

/** The encodings with their labels. Others of the standard are refused with a RangeError. */
const LABELS: Readonly<Record<string, string>> = {
  "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
  "utf-16le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
  "utf-16be": "unicodefffe utf-16be",
  "windows-1252":
    "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 " +
    "iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252",
};
const ENCODINGS = new Map<string, string>();
for (const [encoding, labels] of Object.entries(LABELS)) {
  for (const label of labels.split(" ")) ENCODINGS.set(label, encoding);
}

/** Bytes 0x80 to 0x9F of windows-1252; the others are themselves. */
const WINDOWS_1252 =
  "\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f" +
  "\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178";

interface Decoding {
  decode(bytes: Uint8Array, fatal: boolean, last: boolean): string;
}

class Utf16Decoder implements Decoding {
  readonly #low: 0 | 1;
  #half = -1; // the first byte of a code unit
  #lead = 0; // the first half of a surrogate pair

  constructor(bigEndian: boolean) {
    this.#low = bigEndian ? 1 : 0;
  }

  decode(bytes: Uint8Array, fatal: boolean, last: boolean): string {
    let text = "";
    const wrong = (): void => {
      if (fatal) {
        this.#half = -1;
        this.#lead = 0;
        throw new TypeError("the bytes are not UTF-16");
      }
      text += "\ufffd";
    };
    for (const byte of bytes) {
      if (this.#half < 0) {
        this.#half = byte;
        continue;
      }
      const unit = this.#low === 0 ? this.#half | (byte << 8) : (this.#half << 8) | byte;
      this.#half = -1;
      const lead = this.#lead;
      this.#lead = 0;
      if (lead !== 0) {
        if (unit >= 0xdc00 && unit <= 0xdfff) {
          text += String.fromCharCode(lead, unit);
          continue;
        }
        wrong();
      }
      if (unit >= 0xd800 && unit <= 0xdbff) this.#lead = unit;
      else if (unit >= 0xdc00 && unit <= 0xdfff) wrong();
      else text += String.fromCharCode(unit);
    }
    if (last && (this.#half >= 0 || this.#lead !== 0)) {
      this.#half = -1;
      this.#lead = 0;
      wrong();
    }
    return text;
  }
}

class Windows1252Decoder implements Decoding {
  decode(bytes: Uint8Array): string {
    let text = "";
    for (const byte of bytes) text += byte < 0x80 || byte > 0x9f ? String.fromCharCode(byte) : WINDOWS_1252[byte - 0x80];
    return text;
  }
}

export class TextDecoder {
  readonly #encoding: string;
  readonly #fatal: boolean;
  readonly #ignoreBom: boolean;
  #decoding: Decoding | null = null;
  #bomSeen = false;

  constructor(label: unknown = "utf-8", options: unknown = {}) {
    const given = `${label as string}`;
    const encoding = ENCODINGS.get(given.replace(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g, "").toLowerCase());
    if (encoding === undefined) throw new RangeError(`"${given}" is no encoding that flora decodes`);
    this.#encoding = encoding;
    this.#fatal = isRecord(options) && !!options.fatal;
    this.#ignoreBom = isRecord(options) && !!options.ignoreBOM;
  }

  get encoding(): string {
    return this.#encoding;
  }

  get fatal(): boolean {
    return this.#fatal;
  }

  get ignoreBOM(): boolean {
    return this.#ignoreBom;
  }

  decode(input: unknown = new Uint8Array(), options: unknown = {}): string {
    const bytes = bytesOf(input);
    if (bytes === undefined) throw new TypeError("decode takes an ArrayBuffer or a view of one");
    const stream = isRecord(options) && !!options.stream;
    if (this.#decoding === null) {
      this.#decoding = this.#begin();
      this.#bomSeen = false;
    }
    try {
      let text = this.#decoding.decode(bytes, this.#fatal, !stream);
      if (!this.#bomSeen && text !== "") {
        this.#bomSeen = true;
        const marked = !this.#ignoreBom && this.#encoding !== "windows-1252" && text.charCodeAt(0) === 0xfeff;
        if (marked) text = text.slice(1);
      }
      if (!stream) this.#decoding = null;
      return text;
    } catch (error) {
      this.#decoding = null;
      throw error;
    }
  }

  #begin(): Decoding {
    switch (this.#encoding) {
      case "utf-8":
        return new Utf8Decoder();
      case "windows-1252":
        return new Windows1252Decoder();
      default:
        return new Utf16Decoder(this.#encoding === "utf-16be");
    }
  }
}
expose(TextDecoder, "TextDecoder");

/** Bytes as text of one character each. */
export function btoa(data: unknown): string {
  needs(1, arguments.length, "btoa");
  const text = `${data as string}`;
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0xff) throw new DOMException("btoa takes characters up to U+00FF only", "InvalidCharacterError");
    bytes[i] = unit;
  }
  return bytes.toBase64();
}

export function atob(data: unknown): string {
  needs(1, arguments.length, "atob");
  const bytes = fromBase64(`${data as string}`);
  if (bytes === undefined) throw new DOMException("this is not base64", "InvalidCharacterError");
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, at + 8192) as unknown as number[]);
  }
  return text;
}

/** Infra Standard, "forgiving-base64 decode". */
export function fromBase64(data: string): Uint8Array<ArrayBuffer> | undefined {
  let text = data.replace(/[\t\n\f\r ]/g, "");
  if (text.length % 4 === 0) text = text.replace(/={1,2}$/, "");
  if (text.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(text)) return undefined;
  return Uint8Array.fromBase64(text, { lastChunkHandling: "loose" }) as Uint8Array<ArrayBuffer>;
}
