/** UTF-8 (Encoding Standard). */

/** Half a surrogate pair becomes U+FFFD. */
export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  const length = text.length;
  const out = new Uint8Array(length * 3);
  const size = encodeInto(text, out).written;
  return size === out.length ? out : out.slice(0, size);
}

export function encodeInto(text: string, out: Uint8Array): { read: number; written: number } {
  let at = 0;
  let read = 0;
  const room = out.length;
  while (read < text.length) {
    let point = text.charCodeAt(read);
    if (point < 0x80) {
      if (at >= room) break;
      out[at++] = point;
      read++;
      continue;
    }
    let units = 1;
    if (point >= 0xd800 && point <= 0xdfff) {
      const next = point <= 0xdbff && read + 1 < text.length ? text.charCodeAt(read + 1) : 0;
      if (next >= 0xdc00 && next <= 0xdfff) {
        point = 0x10000 + ((point - 0xd800) << 10) + (next - 0xdc00);
        units = 2;
      } else {
        point = 0xfffd;
      }
    }
    if (point < 0x800) {
      if (at + 2 > room) break;
      out[at++] = 0xc0 | (point >> 6);
    } else {
      if (point < 0x10000) {
        if (at + 3 > room) break;
        out[at++] = 0xe0 | (point >> 12);
      } else {
        if (at + 4 > room) break;
        out[at++] = 0xf0 | (point >> 18);
        out[at++] = 0x80 | ((point >> 12) & 0x3f);
      }
      out[at++] = 0x80 | ((point >> 6) & 0x3f);
    }
    out[at++] = 0x80 | (point & 0x3f);
    read += units;
  }
  return { read, written: at };
}

/** Code units that are gathered before they become text. */
const CHUNK = 4096;

/** A UTF-8 decoder that goes on where the last piece ended. */
export class Utf8Decoder {
  #point = 0;
  #needed = 0;
  #seen = 0;
  #lower = 0x80;
  #upper = 0xbf;

  /** Throws a TypeError for what is not UTF-8 when `fatal`. A piece that is not the last may end anywhere. */
  decode(bytes: Uint8Array, fatal: boolean, last: boolean): string {
    let text = "";
    const units: number[] = [];
    const put = (point: number): void => {
      if (point > 0xffff) {
        units.push(0xd800 + ((point - 0x10000) >> 10), 0xdc00 + ((point - 0x10000) & 0x3ff));
      } else {
        units.push(point);
      }
      if (units.length >= CHUNK) {
        text += String.fromCharCode.apply(null, units);
        units.length = 0;
      }
    };
    const wrong = (): void => {
      this.#reset();
      if (fatal) throw new TypeError("the bytes are not UTF-8");
      put(0xfffd);
    };
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (this.#needed === 0) {
        if (byte < 0x80) put(byte);
        else if (byte >= 0xc2 && byte <= 0xf4) this.#begin(byte);
        else wrong();
        continue;
      }
      if (byte < this.#lower || byte > this.#upper) {
        wrong();
        at--;
        continue;
      }
      this.#lower = 0x80;
      this.#upper = 0xbf;
      this.#point = (this.#point << 6) | (byte & 0x3f);
      if (++this.#seen === this.#needed) {
        const point = this.#point;
        this.#reset();
        put(point);
      }
    }
    if (last && this.#needed > 0) wrong();
    return text + String.fromCharCode.apply(null, units);
  }

  #begin(byte: number): void {
    if (byte < 0xe0) {
      this.#needed = 1;
      this.#point = byte & 0x1f;
    } else if (byte < 0xf0) {
      if (byte === 0xe0) this.#lower = 0xa0;
      if (byte === 0xed) this.#upper = 0x9f;
      this.#needed = 2;
      this.#point = byte & 0xf;
    } else {
      if (byte === 0xf0) this.#lower = 0x90;
      if (byte === 0xf4) this.#upper = 0x8f;
      this.#needed = 3;
      this.#point = byte & 0x7;
    }
  }

  #reset(): void {
    this.#point = this.#needed = this.#seen = 0;
    this.#lower = 0x80;
    this.#upper = 0xbf;
  }
}

/** All of it, without its byte order mark. */
export function decodeUtf8(bytes: Uint8Array): string {
  const text = decodeUtf8Raw(bytes);
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

/** All of it, a byte order mark included. */
export function decodeUtf8Raw(bytes: Uint8Array): string {
  return new Utf8Decoder().decode(bytes, false, true);
}
