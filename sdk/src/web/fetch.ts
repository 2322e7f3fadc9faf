import { AbortSignal, DOMException, onAbort } from "./dom";
import { Blob, blobBytes, encodeForm, FormData, parseMultipart } from "./blob";
import { fromBase64 } from "./encoding";
import { headerLines, Headers, receivedHeaders } from "./headers";
import { percentDecode } from "./percent";
import { bytesOf, concat, expose, host, isRecord, needs, showing, usv } from "./platform";
import { randomBytes } from "./random";
import { requestUrl, URLSearchParams } from "./url";
import { decodeUtf8, encodeUtf8 } from "./utf8";

/**
 * fetch (Fetch Standard) on three ops of the host: `fetch_start`, `fetch_read`, `fetch_cancel`. The body of a
 * response stays with the host until it is read, piece by piece.
 */

declare const require: (module: string) => any;

/** A body that the host keeps. */
interface Remote {
  /** The next piece, null at the end. */
  read(): Promise<Uint8Array<ArrayBuffer> | null>;
  cancel(): void;
}

type Source = Uint8Array<ArrayBuffer> | Remote;

/** What a Request or a Response carries. A stream is made of it only when somebody wants one. */
class Body {
  #source: Source | null;
  #stream: any = null;
  #used = false;

  constructor(source: Source | null, stream: any = null) {
    this.#source = source;
    this.#stream = stream;
  }

  get empty(): boolean {
    return this.#source === null && this.#stream === null;
  }

  get used(): boolean {
    return this.#used || this.#stream?._disturbed === true;
  }

  get locked(): boolean {
    return this.#stream?.locked === true;
  }

  get stream(): any {
    if (this.#stream === null && this.#source !== null) this.#stream = streamOf(this.#source, this.#used);
    return this.#stream;
  }

  /** All of it, once. */
  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.used || this.locked) throw new TypeError("the body was read already");
    if (this.empty) return new Uint8Array();
    this.#used = true;
    if (this.#stream !== null) return readAll(this.#stream.getReader());
    const source = this.#source!;
    if (source instanceof Uint8Array) return source.slice();
    const parts: Uint8Array[] = [];
    for (let part = await source.read(); part !== null; part = await source.read()) parts.push(part);
    return parts.length === 1 ? (parts[0] as Uint8Array<ArrayBuffer>) : concat(parts);
  }

  /** Another body with the same bytes. */
  clone(): Body {
    if (this.used || this.locked) throw new TypeError("the body was read already");
    if (this.#stream === null && (this.#source === null || this.#source instanceof Uint8Array)) return new Body(this.#source);
    const [one, other] = this.stream.tee();
    this.#stream = one;
    this.#source = null;
    return new Body(null, other);
  }

  /** Hands the bytes over to another body; this one counts as read. */
  take(): Body {
    if (this.used || this.locked) throw new TypeError("the body was read already");
    const taken = new Body(this.#source, this.#stream);
    if (!this.empty) this.#used = true;
    return taken;
  }
}

function streamOf(source: Source, used: boolean): any {
  const { ReadableStream } = require("./streams");
  let left: Uint8Array | null = source instanceof Uint8Array ? source.slice() : null;
  const stream = new ReadableStream(
    {
      type: "bytes",
      async pull(controller: any) {
        const part = source instanceof Uint8Array ? left : await source.read();
        left = null;
        if (part === null || part.length === 0) {
          controller.close();
          controller.byobRequest?.respond(0);
        } else {
          controller.enqueue(part);
        }
      },
      cancel() {
        if (!(source instanceof Uint8Array)) source.cancel();
      },
    },
    { highWaterMark: 0 },
  );
  if (used) stream.getReader();
  return stream;
}

async function readAll(reader: any): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return concat(parts);
    const bytes = value instanceof Uint8Array ? value : undefined;
    if (bytes === undefined) throw new TypeError("a body is a stream of Uint8Arrays");
    parts.push(bytes);
  }
}

function isStream(value: unknown): boolean {
  return isRecord(value) && typeof value.getReader === "function" && typeof value.tee === "function";
}

/** The body and its content type (Fetch Standard, "extract a body"). */
function extract(init: unknown): [Body, string | null] {
  if (init === null || init === undefined) return [new Body(null), null];
  if (isStream(init)) {
    const stream = init as any;
    if (stream.locked || stream._disturbed) throw new TypeError("the stream was read already");
    return [new Body(null, stream), null];
  }
  if (init instanceof Blob) return [new Body(blobBytes(init)), init.type === "" ? null : init.type];
  const bytes = bytesOf(init);
  if (bytes !== undefined) return [new Body(bytes.slice()), null];
  if (init instanceof FormData) {
    const marks = new Uint8Array(18);
    randomBytes(marks);
    const boundary = `----flora${marks.toHex()}`;
    return [new Body(encodeForm(init, boundary)), `multipart/form-data; boundary=${boundary}`];
  }
  if (init instanceof URLSearchParams) {
    return [new Body(encodeUtf8(init.toString())), "application/x-www-form-urlencoded;charset=UTF-8"];
  }
  return [new Body(encodeUtf8(usv(init))), "text/plain;charset=UTF-8"];
}

/** What Request and Response have in common. */
abstract class Message {
  /** Replaced when the message is cloned or taken over. */
  protected abstract get content(): Body;
  abstract get headers(): Headers;

  get body(): any {
    return this.content.stream;
  }

  get bodyUsed(): boolean {
    return this.content.used;
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return (await this.content.bytes()).buffer;
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.content.bytes();
  }

  async blob(): Promise<Blob> {
    const bytes = await this.content.bytes();
    return new Blob([bytes], { type: this.headers.get("content-type") ?? "" });
  }

  async text(): Promise<string> {
    return decodeUtf8(await this.content.bytes());
  }

  async json(): Promise<unknown> {
    return JSON.parse(decodeUtf8(await this.content.bytes()));
  }

  async formData(): Promise<FormData> {
    const type = this.headers.get("content-type") ?? "";
    const bytes = await this.content.bytes();
    if (/^multipart\/form-data(?:;|$)/i.test(type.trim())) {
      const boundary = /;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(type);
      if (boundary === null) throw new TypeError("the content type has no boundary");
      return parseMultipart(bytes, (boundary[1] ?? boundary[2])!);
    }
    if (/^application\/x-www-form-urlencoded(?:;|$)/i.test(type.trim())) {
      const form = new FormData();
      for (const [name, value] of new URLSearchParams(decodeUtf8(bytes))) form.append(name, value);
      return form;
    }
    throw new TypeError(`"${type}" is no content type of a form`);
  }
}
expose(Message as any, "Body");

const UPPER_CASE = /^(?:delete|get|head|options|post|put|patch)$/i;

let requestBody: (request: Request) => Body;

export class Request extends Message {
  readonly #url: string;
  readonly #method: string = "GET";
  readonly #headers: Headers;
  readonly #redirect: string = "follow";
  readonly #signal: AbortSignal;
  #body: Body;

  static {
    requestBody = (request) => request.#body;
  }

  constructor(input: unknown, init: unknown = {}) {
    needs(1, arguments.length, "Request");
    super();
    if (init !== undefined && init !== null && !isRecord(init)) throw new TypeError("the options of a request are an object");
    const given: Record<PropertyKey, any> = isRecord(init) ? init : {};
    const from = input instanceof Request ? input : null;
    const url = requestUrl(from === null ? usv(input) : from.#url);
    if (url === null) throw invalidUrl(usv(input));
    if (url.credentials) throw new TypeError("a URL with a user name or password cannot be requested: use a header");
    this.#url = url.text;
    if (from !== null) {
      this.#method = from.#method;
      this.#redirect = from.#redirect;
    }
    if (given.method !== undefined) {
      const method = `${given.method}`;
      if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(method) || /^(?:connect|trace|track)$/i.test(method)) {
        throw new TypeError(`"${method}" is not a method that can be requested`);
      }
      this.#method = UPPER_CASE.test(method) ? method.toUpperCase() : method;
    }
    if (given.redirect !== undefined) {
      const redirect = `${given.redirect}`;
      if (!["follow", "error", "manual"].includes(redirect)) throw new TypeError(`"${redirect}" is no redirect mode`);
      this.#redirect = redirect;
    }
    const signal: unknown = given.signal === undefined ? from?.signal : given.signal;
    if (signal !== undefined && signal !== null && !(signal instanceof AbortSignal)) {
      throw new TypeError("signal must be an AbortSignal");
    }
    this.#signal = AbortSignal.any(signal === undefined || signal === null ? [] : [signal]);
    this.#headers = new Headers(given.headers === undefined ? from?.headers : given.headers);
    const body: unknown = given.body;
    if (body !== undefined && body !== null) {
      if (this.#method === "GET" || this.#method === "HEAD") throw new TypeError(`a ${this.#method} request has no body`);
      const [content, type] = extract(body);
      this.#body = content;
      if (type !== null && !this.#headers.has("content-type")) this.#headers.append("content-type", type);
    } else {
      this.#body = from === null || body === null ? new Body(null) : from.#body.take();
    }
  }

  protected get content(): Body {
    return this.#body;
  }

  get url(): string {
    return this.#url;
  }

  get method(): string {
    return this.#method;
  }

  get headers(): Headers {
    return this.#headers;
  }

  get redirect(): string {
    return this.#redirect;
  }

  get signal(): AbortSignal {
    return this.#signal;
  }

  clone(): Request {
    const body = this.#body.clone();
    const copy = new Request(this.#url, {
      method: this.#method,
      headers: this.#headers,
      redirect: this.#redirect,
      signal: this.#signal,
    });
    copy.#body = body;
    return copy;
  }
}
expose(Request, "Request", showing("method", "url", "headers", "bodyUsed"));

const NULL_BODY = new Set([101, 103, 204, 205, 304]);

interface Received {
  readonly url: string;
  readonly redirected: boolean;
  readonly type: string;
}

let received: (response: Response, facts: Received, headers: Headers, status: number) => Response;

export class Response extends Message {
  #status: number;
  #statusText: string;
  #headers: Headers;
  #body: Body;
  #facts: Received = { url: "", redirected: false, type: "default" };

  static {
    received = (response, facts, headers, status) => {
      response.#facts = facts;
      response.#headers = headers;
      response.#status = status;
      return response;
    };
  }

  constructor(body: unknown = null, init: unknown = {}) {
    super();
    const given: Record<PropertyKey, any> = isRecord(init) ? init : {};
    const status = given.status === undefined ? 200 : Number(given.status);
    if (!(status >= 200 && status <= 599)) throw new RangeError(`${given.status} is no status of a response`);
    this.#status = Math.trunc(status);
    const text = given.statusText === undefined ? "" : `${given.statusText}`;
    if (/[^\t\x20-\x7e\x80-\xff]/.test(text)) throw new TypeError("statusText has a character that it cannot have");
    this.#statusText = text;
    this.#headers = new Headers(given.headers);
    if (body instanceof Body) {
      this.#body = body;
      return;
    }
    const [content, type] = extract(body);
    if (!content.empty && NULL_BODY.has(this.#status)) throw new TypeError(`a response of status ${this.#status} has no body`);
    this.#body = content;
    if (type !== null && !this.#headers.has("content-type")) this.#headers.append("content-type", type);
  }

  static error(): Response {
    return received(new Response(), { url: "", redirected: false, type: "error" }, new Headers(), 0);
  }

  static redirect(url: unknown, status: unknown = 302): Response {
    const target = requestUrl(usv(url));
    if (target === null) throw invalidUrl(usv(url));
    if (![301, 302, 303, 307, 308].includes(Number(status))) throw new RangeError(`${status as string} is no redirect`);
    return new Response(null, { status, headers: { location: target.text } });
  }

  static json(data: unknown, init: unknown = {}): Response {
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError("this has no JSON");
    const given: Record<PropertyKey, any> = isRecord(init) ? init : {};
    const headers = new Headers(given.headers);
    if (!headers.has("content-type")) headers.set("content-type", "application/json");
    return new Response(encodeUtf8(text), { status: given.status, statusText: given.statusText, headers });
  }

  protected get content(): Body {
    return this.#body;
  }

  get status(): number {
    return this.#status;
  }

  get ok(): boolean {
    return this.#status >= 200 && this.#status <= 299;
  }

  get statusText(): string {
    return this.#statusText;
  }

  get headers(): Headers {
    return this.#headers;
  }

  get url(): string {
    return this.#facts.url;
  }

  get redirected(): boolean {
    return this.#facts.redirected;
  }

  get type(): string {
    return this.#facts.type;
  }

  clone(): Response {
    const copy = new Response(this.#body.clone(), { statusText: this.#statusText });
    return received(copy, this.#facts, new Headers(this.#headers), this.#status);
  }
}
expose(Response, "Response", showing("status", "statusText", "url", "headers", "bodyUsed"));

/** The host's answer to `fetch_start`. */
interface Head {
  readonly status: number;
  readonly statusText: string;
  readonly url: string;
  readonly redirected: boolean;
  readonly headers: readonly (readonly [string, string])[];
  readonly data: string | null;
  readonly done: boolean;
}

let lastNumber = 0;

export async function fetch(input: unknown, init: unknown = {}): Promise<Response> {
  const request = new Request(input, init);
  request.signal.throwIfAborted();
  if (request.url.startsWith("data:")) return dataResponse(request.url);
  const id = ++lastNumber;
  const body = await requestBody(request).bytes();
  const cancelled = cancellation(request.signal, id);
  try {
    request.signal.throwIfAborted();
    const call = host().op("fetch_start", {
      __proto__: null,
      id,
      url: request.url,
      method: request.method,
      headers: headerLines(request.headers),
      body: requestBody(request).empty ? null : body.toBase64(),
      redirect: request.redirect,
    }) as Promise<Head>;
    const head = await Promise.race([call, cancelled.aborted]);
    const remote = new HostBody(id, head, cancelled);
    const none = head.done && head.data === null && NULL_BODY.has(head.status);
    const whole = head.done ? bytesFrom(head.data) : null;
    if (head.done) cancelled.end();
    const content = new Body(none ? null : (whole ?? remote));
    const response = new Response(content, { statusText: head.statusText.replace(/[^\t\x20-\x7e\x80-\xff]/g, "?") });
    const facts = { url: head.url, redirected: head.redirected, type: "basic" };
    return received(response, facts, receivedHeaders(head.headers), head.status);
  } catch (error) {
    cancelled.end();
    throw failure(error, request.signal);
  }
}

interface Cancellation {
  /** Never fulfilled; rejected with the signal's reason. */
  readonly aborted: Promise<never>;
  readonly signal: AbortSignal;
  /** Nothing is left to cancel. */
  end(): void;
}

/** Cancels the host's request when `signal` is aborted. */
function cancellation(signal: AbortSignal, id: number): Cancellation {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => {}); // whoever waits for it hears of it
  const end = onAbort(signal, () => {
    cancel(id);
    reject(signal.reason);
  });
  return { aborted: promise, signal, end };
}

function cancel(id: number): void {
  host()
    .op("fetch_cancel", { __proto__: null, id })
    .catch(() => {}); // it has ended by itself
}

class HostBody implements Remote {
  #first: Uint8Array<ArrayBuffer> | null;
  #done: boolean;

  constructor(
    private readonly id: number,
    head: Head,
    private readonly cancelled: Cancellation,
  ) {
    this.#first = head.data === null ? null : bytesFrom(head.data);
    this.#done = head.done;
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    const first = this.#first;
    this.#first = null;
    if (first !== null && first.length > 0) return first;
    if (this.#done) return null;
    try {
      this.cancelled.signal.throwIfAborted();
      const call = host().op("fetch_read", { __proto__: null, id: this.id }) as Promise<{ data: string; done: boolean }>;
      const { data, done } = await Promise.race([call, this.cancelled.aborted]);
      this.#done = done;
      if (done) this.cancelled.end();
      const bytes = bytesFrom(data);
      return done && bytes.length === 0 ? null : bytes;
    } catch (error) {
      this.#done = true;
      this.cancelled.end();
      throw failure(error, this.cancelled.signal);
    }
  }

  cancel(): void {
    if (this.#done) return;
    this.#done = true;
    this.cancelled.end();
    cancel(this.id);
  }
}

function bytesFrom(base64: string | null): Uint8Array<ArrayBuffer> {
  return base64 === null || base64 === "" ? new Uint8Array() : (Uint8Array.fromBase64(base64) as Uint8Array<ArrayBuffer>);
}

/** A network error is a TypeError; its `code` says more. */
function failure(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof DOMException) return error;
  const code = (error as { code?: unknown }).code;
  return Object.assign(new TypeError(`fetch failed: ${error.message}`, { cause: error }), { code });
}

function invalidUrl(text: string): TypeError {
  return Object.assign(new TypeError(`"${text}" is not an absolute URL`), { code: "INVALID_URL" });
}

/** Fetch Standard, "data: URL processor". */
function dataResponse(url: string): Response {
  const comma = url.indexOf(",");
  if (comma < 0) throw new TypeError("fetch failed: not a data: URL");
  let type = url.slice("data:".length, comma).trim();
  let bytes: Uint8Array | undefined = percentDecode(url.slice(comma + 1));
  const coded = /; *base64$/i.exec(type);
  if (coded !== null) {
    type = type.slice(0, coded.index);
    bytes = fromBase64(decodeUtf8(bytes));
    if (bytes === undefined) throw new TypeError("fetch failed: not base64");
  }
  if (type.startsWith(";")) type = `text/plain${type}`;
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+/.test(type)) type = "text/plain;charset=US-ASCII";
  const response = new Response(bytes, { headers: { "content-type": type } });
  return received(response, { url, redirected: false, type: "basic" }, response.headers, 200);
}
