import { encodeUtf8 } from "./utf8";

/** Percent-encoding (URL Standard). A set is a table of the ASCII characters that are encoded; others always are. */
export type EncodeSet = Uint8Array;

function extended(set: EncodeSet | null, characters: string): EncodeSet {
  const table = new Uint8Array(128);
  if (set !== null) table.set(set);
  for (const character of characters) table[character.charCodeAt(0)] = 1;
  return table;
}

const CONTROLS = Array.from({ length: 32 }, (_, code) => String.fromCharCode(code)).join("");
export const C0 = extended(null, `${CONTROLS}\x7f`);
export const FRAGMENT = extended(C0, ' "<>`');
export const QUERY = extended(C0, ' "#<>');
export const SPECIAL_QUERY = extended(QUERY, "'");
export const PATH = extended(QUERY, "?^`{}");
export const USERINFO = extended(PATH, "/:;=@[\\]|");
const COMPONENT = extended(USERINFO, "$%&+,");
export const FORM = extended(COMPONENT, "!'()~");

const HEX = "0123456789ABCDEF";

export function encode(text: string, set: EncodeSet, plus = false): string {
  let out = "";
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80 && set[unit] === 0) continue;
    out += text.slice(from, at);
    let units = 1;
    if (unit === 0x20 && plus) {
      out += "+";
    } else if (unit < 0x80) {
      out += `%${HEX[unit >> 4]}${HEX[unit & 15]}`;
    } else {
      units = unit >= 0xd800 && unit <= 0xdbff && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00 ? 2 : 1;
      for (const byte of encodeUtf8(text.slice(at, at + units))) out += `%${HEX[byte >> 4]}${HEX[byte & 15]}`;
    }
    at += units - 1;
    from = at + 1;
  }
  return from === 0 ? text : out + text.slice(from);
}

export function percentDecode(text: string): Uint8Array<ArrayBuffer> {
  const bytes = encodeUtf8(text);
  let to = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    const high = byte === 0x25 ? digit(bytes[at + 1]) : -1;
    const low = high < 0 ? -1 : digit(bytes[at + 2]);
    if (low < 0) {
      bytes[to++] = byte;
    } else {
      bytes[to++] = (high << 4) | low;
      at += 2;
    }
  }
  return bytes.subarray(0, to);
}

function digit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
