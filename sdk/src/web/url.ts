import { encode, FORM, USERINFO, percentDecode } from "./percent";
import { expose, isRecord, needs, usv } from "./platform";
import { hasOpaquePath, isSpecial, parseUrl, serializePath, serializeUrl, State, type UrlRecord } from "./url-parser";
import { decodeUtf8Raw } from "./utf8";

/** URL and URLSearchParams (URL Standard). */

type Pairs = [string, string][];

function parseForm(text: string): Pairs {
  const pairs: Pairs = [];
  for (const part of text.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = equals < 0 ? part : part.slice(0, equals);
    pairs.push([formText(name), formText(equals < 0 ? "" : part.slice(equals + 1))]);
  }
  return pairs;
}

function formText(text: string): string {
  const spaced = text.replaceAll("+", " ");
  return spaced.includes("%") ? decodeUtf8Raw(percentDecode(spaced)) : spaced.toWellFormed();
}

let bind: (params: URLSearchParams, url: (query: string) => void) => void;
let refill: (params: URLSearchParams, query: string) => void;

export class URLSearchParams {
  #pairs: Pairs = [];
  #changed: ((query: string) => void) | null = null;

  static {
    bind = (params, changed) => (params.#changed = changed);
    refill = (params, query) => (params.#pairs = parseForm(query));
  }

  constructor(init: unknown = "") {
    if (isRecord(init)) {
      const iterate = init[Symbol.iterator];
      if (iterate !== undefined && iterate !== null) {
        for (const pair of init as Iterable<unknown>) {
          const both = isRecord(pair) ? [...(pair as Iterable<unknown>)] : [];
          if (both.length !== 2) throw new TypeError("URLSearchParams takes pairs of a name and a value");
          this.#pairs.push([usv(both[0]), usv(both[1])]);
        }
      } else {
        const values = new Map<string, string>();
        for (const name of Reflect.ownKeys(init)) {
          const slot = Reflect.getOwnPropertyDescriptor(init, name);
          if (slot?.enumerable) values.set(usv(name), usv(init[name]));
        }
        this.#pairs = [...values];
      }
    } else {
      const text = usv(init);
      this.#pairs = parseForm(text.startsWith("?") ? text.slice(1) : text);
    }
  }

  get size(): number {
    return this.#pairs.length;
  }

  append(name: unknown, value: unknown): void {
    needs(2, arguments.length, "URLSearchParams.append");
    this.#pairs.push([usv(name), usv(value)]);
    this.#update();
  }

  delete(name: unknown, value?: unknown): void {
    needs(1, arguments.length, "URLSearchParams.delete");
    const key = usv(name);
    const only = value === undefined ? null : usv(value);
    this.#pairs = this.#pairs.filter((pair) => pair[0] !== key || (only !== null && pair[1] !== only));
    this.#update();
  }

  get(name: unknown): string | null {
    needs(1, arguments.length, "URLSearchParams.get");
    const key = usv(name);
    return this.#pairs.find((pair) => pair[0] === key)?.[1] ?? null;
  }

  getAll(name: unknown): string[] {
    needs(1, arguments.length, "URLSearchParams.getAll");
    const key = usv(name);
    return this.#pairs.filter((pair) => pair[0] === key).map((pair) => pair[1]);
  }

  has(name: unknown, value?: unknown): boolean {
    needs(1, arguments.length, "URLSearchParams.has");
    const key = usv(name);
    const only = value === undefined ? null : usv(value);
    return this.#pairs.some((pair) => pair[0] === key && (only === null || pair[1] === only));
  }

  set(name: unknown, value: unknown): void {
    needs(2, arguments.length, "URLSearchParams.set");
    const key = usv(name);
    const first = this.#pairs.find((pair) => pair[0] === key);
    if (first === undefined) {
      this.#pairs.push([key, usv(value)]);
    } else {
      first[1] = usv(value);
      this.#pairs = this.#pairs.filter((pair) => pair === first || pair[0] !== key);
    }
    this.#update();
  }

  sort(): void {
    this.#pairs.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    this.#update();
  }

  forEach(callback: (value: string, name: string, params: URLSearchParams) => void, self?: unknown): void {
    for (let at = 0; at < this.#pairs.length; at++) {
      const [name, value] = this.#pairs[at]!;
      callback.call(self, value, name, this);
    }
  }

  *entries(): Generator<[string, string]> {
    for (let at = 0; at < this.#pairs.length; at++) yield [...this.#pairs[at]!];
  }

  *keys(): Generator<string> {
    for (let at = 0; at < this.#pairs.length; at++) yield this.#pairs[at]![0];
  }

  *values(): Generator<string> {
    for (let at = 0; at < this.#pairs.length; at++) yield this.#pairs[at]![1];
  }

  [Symbol.iterator](): Generator<[string, string]> {
    return this.entries();
  }

  toString(): string {
    return this.#pairs.map(([name, value]) => `${encode(name, FORM, true)}=${encode(value, FORM, true)}`).join("&");
  }

  #update(): void {
    this.#changed?.(this.toString());
  }
}
expose(URLSearchParams, "URLSearchParams", String);

let recordOf: (url: URL) => UrlRecord;

/** The parsed URL without its fragment, for fetch. */
export function requestUrl(input: string): { text: string; scheme: string; credentials: boolean } | null {
  const url = parseUrl(usv(input), null);
  if (url === null) return null;
  return { text: serializeUrl(url, false), scheme: url.scheme, credentials: url.username !== "" || url.password !== "" };
}

export class URL {
  #url: UrlRecord;
  #params: URLSearchParams | null = null;

  static {
    recordOf = (url) => url.#url;
  }

  constructor(input: unknown, base?: unknown) {
    needs(1, arguments.length, "URL");
    const url = parse(input, base);
    if (url === null) {
      const error = new TypeError(`"${usv(input)}" is not a URL${base === undefined ? "" : ` relative to "${usv(base)}"`}`);
      throw Object.assign(error, { code: "INVALID_URL" });
    }
    this.#url = url;
  }

  static canParse(input: unknown, base?: unknown): boolean {
    needs(1, arguments.length, "URL.canParse");
    return parse(input, base) !== null;
  }

  static parse(input: unknown, base?: unknown): URL | null {
    needs(1, arguments.length, "URL.parse");
    return parse(input, base) === null ? null : new URL(input, base);
  }

  get href(): string {
    return serializeUrl(this.#url);
  }

  set href(value: unknown) {
    const url = parseUrl(usv(value), null);
    if (url === null) throw new TypeError(`"${usv(value)}" is not a URL`);
    this.#url = url;
    this.#refill();
  }

  get origin(): string {
    const url = this.#url;
    if (url.scheme === "blob") {
      const inner = parseUrl(serializePath(url), null);
      return inner !== null && (inner.scheme === "http" || inner.scheme === "https") ? originOf(inner) : "null";
    }
    return isSpecial(url) && url.scheme !== "file" ? originOf(url) : "null";
  }

  get protocol(): string {
    return `${this.#url.scheme}:`;
  }

  set protocol(value: unknown) {
    this.#change(`${usv(value)}:`, State.SchemeStart);
  }

  get username(): string {
    return this.#url.username;
  }

  set username(value: unknown) {
    if (this.#canHaveCredentials()) this.#url.username = encode(usv(value), USERINFO);
  }

  get password(): string {
    return this.#url.password;
  }

  set password(value: unknown) {
    if (this.#canHaveCredentials()) this.#url.password = encode(usv(value), USERINFO);
  }

  get host(): string {
    const { host, port } = this.#url;
    return host === null ? "" : port === null ? host : `${host}:${port}`;
  }

  set host(value: unknown) {
    if (!hasOpaquePath(this.#url)) this.#change(usv(value), State.Host);
  }

  get hostname(): string {
    return this.#url.host ?? "";
  }

  set hostname(value: unknown) {
    if (!hasOpaquePath(this.#url)) this.#change(usv(value), State.Hostname);
  }

  get port(): string {
    return this.#url.port === null ? "" : `${this.#url.port}`;
  }

  set port(value: unknown) {
    if (!this.#canHaveCredentials()) return;
    const text = usv(value);
    if (text === "") this.#url.port = null;
    else this.#change(text, State.Port);
  }

  get pathname(): string {
    return serializePath(this.#url);
  }

  set pathname(value: unknown) {
    if (hasOpaquePath(this.#url)) return;
    this.#url.path = [];
    this.#change(usv(value), State.PathStart);
  }

  get search(): string {
    const { query } = this.#url;
    return query === null || query === "" ? "" : `?${query}`;
  }

  set search(value: unknown) {
    const text = usv(value);
    if (text === "") {
      this.#url.query = null;
    } else {
      this.#url.query = "";
      this.#change(text.startsWith("?") ? text.slice(1) : text, State.Query);
    }
    this.#refill();
  }

  get searchParams(): URLSearchParams {
    if (this.#params === null) {
      this.#params = new URLSearchParams(this.#url.query ?? "");
      refill(this.#params, this.#url.query ?? "");
      bind(this.#params, (query) => (this.#url.query = query === "" ? null : query));
    }
    return this.#params;
  }

  get hash(): string {
    const { fragment } = this.#url;
    return fragment === null || fragment === "" ? "" : `#${fragment}`;
  }

  set hash(value: unknown) {
    const text = usv(value);
    if (text === "") {
      this.#url.fragment = null;
    } else {
      this.#url.fragment = "";
      this.#change(text.startsWith("#") ? text.slice(1) : text, State.Fragment);
    }
  }

  toString(): string {
    return this.href;
  }

  toJSON(): string {
    return this.href;
  }

  #canHaveCredentials(): boolean {
    const { host, scheme } = this.#url;
    return host !== null && host !== "" && scheme !== "file";
  }

  /** What cannot be set leaves the URL as it is. */
  #change(text: string, state: State): void {
    parseUrl(text, null, this.#url, state);
  }

  #refill(): void {
    if (this.#params !== null) refill(this.#params, this.#url.query ?? "");
  }
}
expose(URL, "URL", String);

function parse(input: unknown, base: unknown): UrlRecord | null {
  let from: UrlRecord | null = null;
  if (base !== undefined) {
    from = base instanceof URL ? recordOf(base) : parseUrl(usv(base), null);
    if (from === null) return null;
  }
  return parseUrl(usv(input), from);
}

function originOf(url: UrlRecord): string {
  return `${url.scheme}://${url.host}${url.port === null ? "" : `:${url.port}`}`;
}

