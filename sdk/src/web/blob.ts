import { bytesOf, concat, expose, isRecord, needs, showing, usv } from "./platform";
import { decodeUtf8, encodeUtf8 } from "./utf8";

/** Blob and File (File API), FormData (XMLHttpRequest Standard). All of their bytes are in memory. */

declare const require: (module: string) => any;

let dataOf: (blob: Blob) => Uint8Array<ArrayBuffer>;

export class Blob {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #type: string;

  static {
    dataOf = (blob) => blob.#bytes;
  }

  constructor(parts: unknown = [], options: unknown = {}) {
    if (!isRecord(parts) || !(Symbol.iterator in parts)) throw new TypeError("a Blob is made of a list of parts");
    const given = isRecord(options) ? options : {};
    const native = given.endings === "native";
    this.#bytes = concat(
      [...(parts as Iterable<unknown>)].map((part) => {
        if (part instanceof Blob) return part.#bytes;
        const bytes = bytesOf(part);
        if (bytes !== undefined) return bytes;
        const text = usv(part);
        return encodeUtf8(native ? text.replace(/\r\n?|\n/g, "\n") : text);
      }),
    );
    this.#type = mediaType(given.type);
  }

  get size(): number {
    return this.#bytes.length;
  }

  get type(): string {
    return this.#type;
  }

  slice(start: unknown = 0, end: unknown = this.#bytes.length, type: unknown = ""): Blob {
    return new Blob([this.#bytes.subarray(clamped(start), clamped(end))], { type });
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return this.#bytes.slice().buffer;
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#bytes.slice();
  }

  async text(): Promise<string> {
    return decodeUtf8(this.#bytes);
  }

  stream(): unknown {
    const bytes = this.#bytes;
    let at = 0;
    const { ReadableStream } = require("./streams");
    return new ReadableStream({
      type: "bytes",
      pull(controller: { enqueue(chunk: Uint8Array): void; close(): void; byobRequest: { respond(n: number): void } | null }) {
        if (at < bytes.length) {
          controller.enqueue(bytes.slice(at, (at += 65536)));
        } else {
          controller.close();
          controller.byobRequest?.respond(0);
        }
      },
    });
  }
}
expose(Blob, "Blob", showing("size", "type"));

function mediaType(type: unknown): string {
  const text = type === undefined ? "" : `${type as string}`;
  return /[^\x20-\x7e]/.test(text) ? "" : text.toLowerCase();
}

function clamped(value: unknown): number {
  const number = Math.trunc(Number(value));
  return number === number ? number : 0;
}

/** Not a copy. */
export function blobBytes(blob: Blob): Uint8Array<ArrayBuffer> {
  return dataOf(blob);
}

export class File extends Blob {
  readonly #name: string;
  readonly #lastModified: number;

  constructor(parts: unknown, name: unknown, options: unknown = {}) {
    needs(2, arguments.length, "File");
    super(parts, options);
    this.#name = usv(name);
    const modified = isRecord(options) ? options.lastModified : undefined;
    this.#lastModified = modified === undefined ? Date.now() : clamped(modified);
  }

  get name(): string {
    return this.#name;
  }

  get lastModified(): number {
    return this.#lastModified;
  }

  get webkitRelativePath(): string {
    return "";
  }
}
expose(File, "File", showing("name", "size", "type"));

type Entry = [name: string, value: string | File];

export class FormData {
  #entries: Entry[] = [];

  constructor(form?: unknown) {
    if (form !== undefined) throw new TypeError("there are no HTML forms here");
  }

  append(name: unknown, value: unknown, filename?: unknown): void {
    needs(2, arguments.length, "FormData.append");
    this.#entries.push(entry(name, value, filename));
  }

  delete(name: unknown): void {
    needs(1, arguments.length, "FormData.delete");
    const key = usv(name);
    this.#entries = this.#entries.filter((each) => each[0] !== key);
  }

  get(name: unknown): string | File | null {
    needs(1, arguments.length, "FormData.get");
    const key = usv(name);
    return this.#entries.find((each) => each[0] === key)?.[1] ?? null;
  }

  getAll(name: unknown): (string | File)[] {
    needs(1, arguments.length, "FormData.getAll");
    const key = usv(name);
    return this.#entries.filter((each) => each[0] === key).map((each) => each[1]);
  }

  has(name: unknown): boolean {
    needs(1, arguments.length, "FormData.has");
    const key = usv(name);
    return this.#entries.some((each) => each[0] === key);
  }

  set(name: unknown, value: unknown, filename?: unknown): void {
    needs(2, arguments.length, "FormData.set");
    const made = entry(name, value, filename);
    const first = this.#entries.findIndex((each) => each[0] === made[0]);
    if (first < 0) {
      this.#entries.push(made);
    } else {
      this.#entries[first] = made;
      this.#entries = this.#entries.filter((each, index) => index === first || each[0] !== made[0]);
    }
  }

  forEach(callback: (value: string | File, name: string, form: FormData) => void, self?: unknown): void {
    for (const [name, value] of this.entries()) callback.call(self, value, name, this);
  }

  *entries(): Generator<Entry> {
    for (let at = 0; at < this.#entries.length; at++) yield [...this.#entries[at]!];
  }

  *keys(): Generator<string> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): Generator<string | File> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): Generator<Entry> {
    return this.entries();
  }
}
expose(FormData, "FormData", (form) => [...form]);

function entry(name: unknown, value: unknown, filename: unknown): Entry {
  if (!(value instanceof Blob)) {
    if (filename !== undefined) throw new TypeError("only a Blob has a file name");
    return [usv(name), usv(value)];
  }
  if (value instanceof File && filename === undefined) return [usv(name), value];
  const options = { type: value.type, lastModified: value instanceof File ? value.lastModified : undefined };
  return [usv(name), new File([value], filename === undefined ? "blob" : usv(filename), options)];
}

/** multipart/form-data (HTML Standard, "multipart/form-data encoding algorithm"). */
export function encodeForm(form: FormData, boundary: string): Uint8Array<ArrayBuffer> {
  const escape = (text: string): string => text.replaceAll("\n", "%0A").replaceAll("\r", "%0D").replaceAll('"', "%22");
  const lines = (text: string): string => text.replace(/\r\n|\r|\n/g, "\r\n");
  const parts: Uint8Array[] = [];
  for (const [name, value] of form.entries()) {
    let head = `--${boundary}\r\nContent-Disposition: form-data; name="${escape(lines(name))}"`;
    if (typeof value === "string") {
      parts.push(encodeUtf8(`${head}\r\n\r\n${lines(value)}\r\n`));
    } else {
      head += `; filename="${escape(value.name)}"\r\nContent-Type: ${value.type || "application/octet-stream"}`;
      parts.push(encodeUtf8(`${head}\r\n\r\n`), blobBytes(value), encodeUtf8("\r\n"));
    }
  }
  parts.push(encodeUtf8(`--${boundary}--\r\n`));
  return concat(parts);
}

/** Throws a TypeError for what is not well formed. */
export function parseMultipart(bytes: Uint8Array, boundary: string): FormData {
  const form = new FormData();
  const mark = encodeUtf8(`--${boundary}`);
  const end = encodeUtf8(`\r\n--${boundary}`);
  let at = find(bytes, mark, 0);
  if (at < 0) throw malformed();
  at += mark.length;
  while (!(bytes[at] === 0x2d && bytes[at + 1] === 0x2d)) {
    if (bytes[at] !== 0x0d || bytes[at + 1] !== 0x0a) throw malformed();
    const headEnd = find(bytes, BLANK, at);
    if (headEnd < 0) throw malformed();
    const head = decodeUtf8(bytes.subarray(at + 2, headEnd));
    const start = headEnd + BLANK.length;
    const stop = find(bytes, end, start);
    const disposition = /^content-disposition:[ \t]*form-data;[ \t]*(.*)$/im.exec(head)?.[1];
    const name = disposition === undefined ? undefined : parameter(disposition, "name");
    if (stop < 0 || name === undefined) throw malformed();
    const filename = parameter(disposition!, "filename");
    const data = bytes.slice(start, stop);
    if (filename === undefined) {
      form.append(name, decodeUtf8(data));
    } else {
      const type = /^content-type:[ \t]*(.*)$/im.exec(head)?.[1]?.trim() ?? "text/plain";
      form.append(name, new File([data], filename, { type }));
    }
    at = stop + end.length;
  }
  return form;
}

const BLANK = encodeUtf8("\r\n\r\n");

function parameter(text: string, name: string): string | undefined {
  const match = new RegExp(`(?:^|;[ \\t]*)${name}="([^"]*)"`, "i").exec(text);
  return match?.[1]?.replaceAll("%0A", "\n").replaceAll("%0D", "\r").replaceAll("%22", '"');
}

function find(bytes: Uint8Array, what: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(what[0]!, from); at >= 0; at = bytes.indexOf(what[0]!, at + 1)) {
    let same = 1;
    while (same < what.length && bytes[at + same] === what[same]) same++;
    if (same === what.length) return at;
  }
  return -1;
}

function malformed(): TypeError {
  return new TypeError("the body is not well formed multipart/form-data");
}
