import { expose, isRecord, needs } from "./platform";

/** Headers (Fetch Standard). There is no browser to protect, so no header is forbidden here; the host drops its own. */

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

let pairsOf: (headers: Headers) => [string, string][];

/** A ByteString: one byte for each character. */
function byteString(value: unknown, what: string): string {
  const text = `${value as string}`;
  if (/[^\0-\xff]/.test(text)) throw new TypeError(`the ${what} of a header takes characters up to U+00FF only`);
  return text;
}

function headerName(value: unknown): string {
  const text = byteString(value, "name");
  if (!NAME.test(text)) throw new TypeError(`"${text}" is not the name of a header`);
  return text.toLowerCase();
}

function headerValue(value: unknown): string {
  const text = byteString(value, "value").replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
  if (/[\0\n\r]/.test(text)) throw new TypeError("the value of a header has no line break and no NUL");
  return text;
}

export class Headers {
  /** Lower case names, in the order of their first appearance. */
  #pairs: [string, string][] = [];

  static {
    pairsOf = (headers) => headers.#pairs;
  }

  constructor(init: unknown = undefined) {
    if (init === undefined) return;
    if (!isRecord(init)) throw new TypeError("Headers takes pairs of a name and a value, or an object of them");
    if (init instanceof Headers) {
      this.#pairs = init.#pairs.map(([name, value]) => [name, value]);
      return;
    }
    const iterate = init[Symbol.iterator];
    if (iterate !== undefined && iterate !== null) {
      if (typeof iterate !== "function") throw new TypeError("Headers takes something that can be iterated");
      for (const pair of init as Iterable<unknown>) {
        if (!isRecord(pair)) throw new TypeError("Headers takes pairs of a name and a value");
        const both = [...(pair as Iterable<unknown>)];
        if (both.length !== 2) throw new TypeError("Headers takes pairs of a name and a value");
        this.append(both[0], both[1]);
      }
      return;
    }
    for (const key of Reflect.ownKeys(init)) {
      const slot = Reflect.getOwnPropertyDescriptor(init, key);
      if (slot === undefined || !slot.enumerable) continue;
      if (typeof key === "symbol") throw new TypeError("the name of a header is text");
      this.append(key, init[key]);
    }
  }

  append(name: unknown, value: unknown): void {
    needs(2, arguments.length, "Headers.append");
    this.#pairs.push([headerName(name), headerValue(value)]);
  }

  delete(name: unknown): void {
    needs(1, arguments.length, "Headers.delete");
    const key = headerName(name);
    this.#pairs = this.#pairs.filter((pair) => pair[0] !== key);
  }

  get(name: unknown): string | null {
    needs(1, arguments.length, "Headers.get");
    const key = headerName(name);
    const values = this.#pairs.filter((pair) => pair[0] === key).map((pair) => pair[1]);
    return values.length === 0 ? null : values.join(", ");
  }

  getSetCookie(): string[] {
    return this.#pairs.filter((pair) => pair[0] === "set-cookie").map((pair) => pair[1]);
  }

  has(name: unknown): boolean {
    needs(1, arguments.length, "Headers.has");
    const key = headerName(name);
    return this.#pairs.some((pair) => pair[0] === key);
  }

  set(name: unknown, value: unknown): void {
    needs(2, arguments.length, "Headers.set");
    const key = headerName(name);
    const text = headerValue(value);
    const first = this.#pairs.find((pair) => pair[0] === key);
    if (first === undefined) {
      this.#pairs.push([key, text]);
    } else {
      first[1] = text;
      this.#pairs = this.#pairs.filter((pair) => pair === first || pair[0] !== key);
    }
  }

  forEach(callback: (value: string, name: string, headers: Headers) => void, self?: unknown): void {
    if (typeof callback !== "function") throw new TypeError("Headers.forEach takes a function");
    for (const [name, value] of this.entries()) callback.call(self, value, name, this);
  }

  *entries(): Generator<[string, string]> {
    // Changes while it is iterated are seen, as in the standard.
    for (let at = 0, pairs = this.#sorted(); at < pairs.length; at++, pairs = this.#sorted()) yield pairs[at]!;
  }

  *keys(): Generator<string> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): Generator<string> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): Generator<[string, string]> {
    return this.entries();
  }

  /** By name; the values of one name together, but for Set-Cookie. */
  #sorted(): [string, string][] {
    const sorted: [string, string][] = [];
    const merged = new Map<string, [string, string]>();
    for (const [name, value] of this.#pairs) {
      const known = merged.get(name);
      if (known !== undefined && name !== "set-cookie") {
        known[1] += `, ${value}`;
      } else {
        const pair: [string, string] = [name, value];
        merged.set(name, pair);
        sorted.push(pair);
      }
    }
    return sorted.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
  }
}
expose(Headers, "Headers", (headers) => Object.fromEntries(headers));

/** As the host takes them: lines, "name: value". */
export function headerLines(headers: Headers): string {
  return pairsOf(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");
}

/** Of a response: whatever the server sent. */
export function receivedHeaders(pairs: readonly (readonly [string, string])[]): Headers {
  const headers = new Headers();
  for (const [name, value] of pairs) pairsOf(headers).push([name.toLowerCase(), value]);
  return headers;
}
