import type { Kit } from "./kit";
import { show } from "./show";

type Answer = unknown | ((request: never) => unknown);

const web = (): { Request: any; Response: any } => globalThis as never;

/** `fetch` in tests: nothing leaves the machine; the test says what is there. */
export class FakeWeb {
  readonly #kit: Kit;
  readonly #routes: { readonly url: string | RegExp; readonly answer: Answer }[] = [];

  constructor(kit: Kit) {
    this.#kit = kit;
  }

  /** Takes the place of the realm's `fetch`. The classes are taken when they are needed, as scripts do. */
  start(): void {
    const fetch = (input: unknown, init?: unknown): Promise<unknown> => this.#fetch(new (web().Request)(input, init));
    Object.defineProperty(globalThis, "fetch", { value: fetch, writable: true, configurable: true, enumerable: false });
  }

  /** Later answers win. */
  add(url: string | RegExp, answer: Answer): void {
    this.#routes.unshift({ url, answer });
  }

  /** The arguments of an op with what the host would have got for its attachments' URLs. */
  async withFiles(args: unknown): Promise<unknown> {
    if (!hasUrls(args)) return args;
    const attachments = await Promise.all(args.attachments.map((each) => (isByUrl(each) ? this.#file(each) : each)));
    return { ...args, attachments };
  }

  async #file({ url, ...rest }: { readonly url: string; readonly filename?: string; readonly contentType?: string }): Promise<object> {
    const response: any = await this.#fetch(new (web().Request)(url));
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    const named = decodeURIComponent(new URL(url).pathname.split("/").pop() ?? "") || "file";
    const contentType = rest.contentType ?? response.headers.get("content-type") ?? undefined;
    const data = new Uint8Array(await response.arrayBuffer()).toBase64();
    return { ...rest, filename: rest.filename ?? named, data, ...(contentType === undefined ? {} : { contentType }) };
  }

  async #fetch(request: any): Promise<unknown> {
    const args = { url: request.url, method: request.method, headers: Object.fromEntries(request.headers) };
    const route = this.#routes.find(({ url }) =>
      typeof url === "string" ? request.url.startsWith(url) : url.test(request.url),
    );
    if (route === undefined) {
      const error = new TypeError(`nothing answers ${request.method} ${request.url} in this test: use bot.fetch(${show(request.url)}, …)`);
      await this.#kit.ask("test_stubbed", { op: "fetch", args, error: String(error) });
      throw error;
    }
    const { answer } = route;
    const made: unknown = typeof answer === "function" ? await answer(request as never) : answer;
    if (made instanceof Error) {
      await this.#kit.ask("test_stubbed", { op: "fetch", args, error: String(made) });
      throw made;
    }
    const response = responseOf(made);
    await this.#kit.ask("test_stubbed", { op: "fetch", args, result: { status: response.status } });
    return response;
  }
}

function isByUrl(file: unknown): file is { readonly url: string } {
  return typeof file === "object" && file !== null && typeof (file as { url?: unknown }).url === "string";
}

export function hasUrls(args: unknown): args is { readonly attachments: readonly unknown[] } {
  const files = (args as { attachments?: unknown } | null | undefined)?.attachments;
  return Array.isArray(files) && files.some(isByUrl);
}

/** A response as it is, a text, or a value as JSON. */
function responseOf(value: any): any {
  const { Response } = web();
  if (value instanceof Response) return value.clone();
  if (typeof value === "string") return new Response(value);
  return new Response(JSON.stringify(value ?? null), { headers: { "content-type": "application/json" } });
}
