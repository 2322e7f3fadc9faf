/** Hosts (URL Standard, "host parsing"). */

import { LATE } from "./late";

let tr46: any;

/** UTS 46 as URLs use it; null for what is no domain. Its tables are compiled only for a name that needs them. */
export function domainToAscii(domain: string): string | null {
  const lower = domain.toLowerCase();
  if (!/[^\0-\x7f]/.test(domain) && !/(?:^|\.)xn--/.test(lower)) return lower;
  tr46 ??= LATE.tr46();
  return tr46.toASCII(domain, {
    checkHyphens: false,
    checkBidi: true,
    checkJoiners: true,
    useSTD3ASCIIRules: false,
    transitionalProcessing: false,
    verifyDNSLength: false,
  });
}

export function endsInNumber(host: string): boolean {
  const parts = host.split(".");
  if (parts.at(-1) === "") {
    if (parts.length === 1) return false;
    parts.pop();
  }
  const last = parts.at(-1)!;
  return /^[0-9]+$/.test(last) || /^0[xX][0-9A-Fa-f]*$/.test(last);
}

function parseNumber(part: string): number {
  if (part === "") return NaN;
  if (/^0[xX]/.test(part)) return /^[0-9A-Fa-f]*$/.test(part.slice(2)) ? Number(`0x${part.slice(2) || "0"}`) : NaN;
  if (part.length > 1 && part[0] === "0") return /^[0-7]+$/.test(part) ? parseInt(part, 8) : NaN;
  return /^[0-9]+$/.test(part) ? Number(part) : NaN;
}

export function parseIpv4(host: string): string | null {
  const parts = host.split(".");
  if (parts.at(-1) === "" && parts.length > 1) parts.pop();
  if (parts.length > 4) return null;
  const numbers = parts.map(parseNumber);
  if (numbers.some((number) => number !== number)) return null;
  const last = numbers.pop()!;
  if (numbers.some((number) => number > 255) || last >= 256 ** (4 - numbers.length)) return null;
  let value = last;
  numbers.forEach((number, index) => (value += number * 256 ** (3 - index)));
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}

/** Serialised in brackets. */
export function parseIpv6(input: string): string | null {
  const pieces = [0, 0, 0, 0, 0, 0, 0, 0];
  let index = 0;
  let compress = -1;
  let at = 0;
  if (input[0] === ":") {
    if (input[1] !== ":") return null;
    at = 2;
    compress = ++index;
  }
  while (at < input.length) {
    if (index === 8) return null;
    if (input[at] === ":") {
      if (compress >= 0) return null;
      at++;
      compress = ++index;
      continue;
    }
    const digits = /^[0-9A-Fa-f]{0,4}/.exec(input.slice(at, at + 4))![0];
    let next = at + digits.length;
    if (input[next] === ".") {
      if (digits === "" || index > 6) return null;
      const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(input.slice(at));
      if (match === null) return null;
      const parts = match.slice(1);
      if (parts.some((part) => Number(part) > 255 || (part.length > 1 && part[0] === "0"))) return null;
      const [a, b, c, d] = parts.map(Number) as [number, number, number, number];
      pieces[index++] = a * 256 + b;
      pieces[index++] = c * 256 + d;
      at = input.length;
      break;
    }
    if (input[next] === ":") {
      next++;
      if (next === input.length) return null;
    } else if (next !== input.length) {
      return null;
    }
    pieces[index++] = digits === "" ? 0 : parseInt(digits, 16);
    at = next;
  }
  if (compress >= 0) {
    const moved = pieces.slice(compress, index);
    pieces.fill(0, compress);
    moved.forEach((piece, offset) => (pieces[8 - moved.length + offset] = piece));
  } else if (index !== 8) {
    return null;
  }
  return `[${serializeIpv6(pieces)}]`;
}

/** The longest run of zeros, of two at least, is left out (RFC 5952). */
function serializeIpv6(pieces: readonly number[]): string {
  let start = -1;
  let longest = 1;
  for (let from = 0; from < 8; from++) {
    let length = 0;
    while (from + length < 8 && pieces[from + length] === 0) length++;
    if (length > longest) {
      start = from;
      longest = length;
    }
  }
  const hex = pieces.map((piece) => piece.toString(16));
  if (start < 0) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + longest).join(":")}`;
}
