import { domainToAscii, endsInNumber, parseIpv4, parseIpv6 } from "./url-host";
import { C0, encode, FRAGMENT, PATH, percentDecode, QUERY, SPECIAL_QUERY, USERINFO } from "./percent";
import { decodeUtf8Raw } from "./utf8";

/** The URL parser (URL Standard, "basic URL parser"), state by state. */

export interface UrlRecord {
  scheme: string;
  username: string;
  password: string;
  /** As it is serialised; null when there is none. */
  host: string | null;
  port: number | null;
  /** Text for an opaque path. */
  path: string[] | string;
  query: string | null;
  fragment: string | null;
}

export const enum State {
  SchemeStart = 1,
  Scheme,
  NoScheme,
  SpecialRelativeOrAuthority,
  PathOrAuthority,
  Relative,
  RelativeSlash,
  SpecialAuthoritySlashes,
  SpecialAuthorityIgnoreSlashes,
  Authority,
  Host,
  Hostname,
  Port,
  File,
  FileSlash,
  FileHost,
  PathStart,
  Path,
  OpaquePath,
  Query,
  Fragment,
}

const PORTS = new Map<string, number | null>([
  ["http", 80],
  ["https", 443],
  ["ws", 80],
  ["wss", 443],
  ["ftp", 21],
  ["file", null],
]);
const FORBIDDEN_HOST = /[\0\t\n\r #/:<>?@[\\\]^|]/;
const FORBIDDEN_DOMAIN = /[\0-\x20#/:<>?@[\\\]^|%\x7f]/;

export function isSpecial(url: UrlRecord): boolean {
  return PORTS.has(url.scheme);
}

export function hasOpaquePath(url: UrlRecord): boolean {
  return typeof url.path === "string";
}

/** A record, or null for what is no URL. With `state`, `url` is changed, and null means that it could not be. */
export function parseUrl(input: string, base: UrlRecord | null, url?: UrlRecord, given?: State): UrlRecord | null {
  if (url === undefined) input = input.replace(/^[\0-\x20]+|[\0-\x20]+$/g, "");
  input = input.replace(/[\t\n\r]/g, "");
  const parser = new Parser(input, base, url, given);
  return parser.run() ? parser.url : null;
}

class Parser {
  readonly url: UrlRecord;
  #state: State;
  #buffer = "";
  #atSeen = false;
  #inBrackets = false;
  #passwordSeen = false;
  #at = 0;

  constructor(
    private readonly input: string,
    private readonly base: UrlRecord | null,
    url: UrlRecord | undefined,
    private readonly override: State | undefined,
  ) {
    this.url = url ?? {
      scheme: "",
      username: "",
      password: "",
      host: null,
      port: null,
      path: [],
      query: null,
      fragment: null,
    };
    this.#state = override ?? State.SchemeStart;
  }

  /** Whether it is a URL. */
  run(): boolean {
    for (; this.#at <= this.input.length; this.#at++) {
      const done = this.#step(this.input.charAt(this.#at));
      if (done !== undefined) return done;
    }
    return true;
  }

  /** `c` is one UTF-16 code unit, empty at the end. A result ends the parser. */
  #step(c: string): boolean | undefined {
    const { url, input, override } = this;
    switch (this.#state) {
      case State.SchemeStart:
        if (/^[A-Za-z]$/.test(c)) {
          this.#buffer += c.toLowerCase();
          this.#state = State.Scheme;
        } else if (override === undefined) {
          this.#state = State.NoScheme;
          this.#at--;
        } else {
          return false;
        }
        return;
      case State.Scheme:
        return this.#scheme(c);
      case State.NoScheme: {
        const base = this.base;
        if (base === null || (hasOpaquePath(base) && c !== "#")) return false;
        if (hasOpaquePath(base)) {
          this.#inherit(base);
          url.fragment = "";
          this.#state = State.Fragment;
        } else {
          this.#state = base.scheme === "file" ? State.File : State.Relative;
          this.#at--;
        }
        return;
      }
      case State.SpecialRelativeOrAuthority:
        if (c === "/" && input.charAt(this.#at + 1) === "/") {
          this.#state = State.SpecialAuthorityIgnoreSlashes;
          this.#at++;
        } else {
          this.#state = State.Relative;
          this.#at--;
        }
        return;
      case State.PathOrAuthority:
        if (c === "/") {
          this.#state = State.Authority;
        } else {
          this.#state = State.Path;
          this.#at--;
        }
        return;
      case State.Relative: {
        const base = this.base!;
        url.scheme = base.scheme;
        if (c === "/") this.#state = State.RelativeSlash;
        else if (isSpecial(url) && c === "\\") this.#state = State.RelativeSlash;
        else this.#relative(c, base);
        return;
      }
      case State.RelativeSlash:
        if (isSpecial(url) && (c === "/" || c === "\\")) {
          this.#state = State.SpecialAuthorityIgnoreSlashes;
        } else if (c === "/") {
          this.#state = State.Authority;
        } else {
          const base = this.base!;
          url.username = base.username;
          url.password = base.password;
          url.host = base.host;
          url.port = base.port;
          this.#state = State.Path;
          this.#at--;
        }
        return;
      case State.SpecialAuthoritySlashes:
        this.#state = State.SpecialAuthorityIgnoreSlashes;
        if (c === "/" && input.charAt(this.#at + 1) === "/") this.#at++;
        else this.#at--;
        return;
      case State.SpecialAuthorityIgnoreSlashes:
        if (c !== "/" && c !== "\\") {
          this.#state = State.Authority;
          this.#at--;
        }
        return;
      case State.Authority:
        return this.#authority(c);
      case State.Host:
      case State.Hostname:
        return this.#host(c);
      case State.Port:
        return this.#port(c);
      case State.File:
        this.#file(c);
        return;
      case State.FileSlash:
        if (c === "/" || c === "\\") {
          this.#state = State.FileHost;
          return;
        }
        if (this.base !== null && this.base.scheme === "file") {
          url.host = this.base.host;
          const first = (this.base.path as string[])[0];
          if (!startsWithDrive(input, this.#at) && first !== undefined && /^[A-Za-z]:$/.test(first)) {
            (url.path as string[]).push(first);
          }
        }
        this.#state = State.Path;
        this.#at--;
        return;
      case State.FileHost:
        return this.#fileHost(c);
      case State.PathStart:
        return this.#pathStart(c);
      case State.Path:
        this.#path(c);
        return;
      case State.OpaquePath:
        if (c === "?" || c === "#") {
          url.path = (url.path as string) + encode(this.#buffer, C0);
          // A trailing space would be lost when the query and the fragment are taken away.
          if (url.path.endsWith(" ")) url.path = `${url.path.slice(0, -1)}%20`;
          this.#begin(c);
        } else if (c === "") {
          url.path = (url.path as string) + encode(this.#buffer, C0);
        } else {
          this.#buffer += c;
        }
        return;
      case State.Query:
        if ((override === undefined && c === "#") || c === "") {
          url.query = (url.query ?? "") + encode(this.#buffer, isSpecial(url) ? SPECIAL_QUERY : QUERY);
          this.#buffer = "";
          if (c === "#") {
            url.fragment = "";
            this.#state = State.Fragment;
          }
        } else {
          this.#buffer += c;
        }
        return;
      case State.Fragment:
        url.fragment = (url.fragment ?? "") + encode(input.slice(this.#at), FRAGMENT);
        return true;
    }
  }

  #scheme(c: string): boolean | undefined {
    const { url, input, override } = this;
    if (/^[A-Za-z0-9+\-.]$/.test(c)) {
      this.#buffer += c.toLowerCase();
      return;
    }
    if (c !== ":") {
      if (override !== undefined) return false;
      this.#buffer = "";
      this.#state = State.NoScheme;
      this.#at = -1;
      return;
    }
    if (override !== undefined) {
      if (isSpecial(url) !== PORTS.has(this.#buffer)) return true;
      if ((url.username !== "" || url.password !== "" || url.port !== null) && this.#buffer === "file") return true;
      if (url.scheme === "file" && url.host === "") return true;
    }
    url.scheme = this.#buffer;
    if (override !== undefined) {
      if (url.port === PORTS.get(url.scheme)) url.port = null;
      return true;
    }
    this.#buffer = "";
    if (url.scheme === "file") {
      this.#state = State.File;
    } else if (isSpecial(url)) {
      const relative = this.base !== null && this.base.scheme === url.scheme;
      this.#state = relative ? State.SpecialRelativeOrAuthority : State.SpecialAuthoritySlashes;
    } else if (input.charAt(this.#at + 1) === "/") {
      this.#state = State.PathOrAuthority;
      this.#at++;
    } else {
      url.path = "";
      this.#state = State.OpaquePath;
    }
    return;
  }

  #inherit(base: UrlRecord): void {
    const { url } = this;
    url.scheme = base.scheme;
    url.path = typeof base.path === "string" ? base.path : [...base.path];
    url.query = base.query;
  }

  #relative(c: string, base: UrlRecord): void {
    const { url } = this;
    url.username = base.username;
    url.password = base.password;
    url.host = base.host;
    url.port = base.port;
    this.#inherit(base);
    this.#afterBase(c);
  }

  /** What follows a path that was taken from the base. */
  #afterBase(c: string): void {
    const { url } = this;
    if (c === "?" || c === "#") {
      if (c === "?") url.query = null;
      this.#begin(c);
    } else if (c !== "") {
      url.query = null;
      shorten(url);
      this.#state = State.Path;
      this.#at--;
    }
  }

  /** The query or the fragment begins. */
  #begin(c: string): void {
    this.#buffer = "";
    if (c === "?") {
      this.url.query = "";
      this.#state = State.Query;
    } else {
      this.url.fragment = "";
      this.#state = State.Fragment;
    }
  }

  #endsAuthority(c: string): boolean {
    return c === "" || c === "/" || c === "?" || c === "#" || (isSpecial(this.url) && c === "\\");
  }

  #authority(c: string): boolean | undefined {
    const { url } = this;
    if (c === "@") {
      if (this.#atSeen) this.#buffer = `%40${this.#buffer}`;
      this.#atSeen = true;
      const colon = this.#passwordSeen ? -1 : this.#buffer.indexOf(":");
      if (this.#passwordSeen) {
        url.password += encode(this.#buffer, USERINFO);
      } else if (colon >= 0) {
        this.#passwordSeen = true;
        url.username += encode(this.#buffer.slice(0, colon), USERINFO);
        url.password += encode(this.#buffer.slice(colon + 1), USERINFO);
      } else {
        url.username += encode(this.#buffer, USERINFO);
      }
      this.#buffer = "";
    } else if (this.#endsAuthority(c)) {
      if (this.#atSeen && this.#buffer === "") return false;
      this.#at -= this.#buffer.length + 1;
      this.#buffer = "";
      this.#state = State.Host;
    } else {
      this.#buffer += c;
    }
    return;
  }

  #host(c: string): boolean | undefined {
    const { url, override } = this;
    if (override !== undefined && url.scheme === "file") {
      this.#at--;
      this.#state = State.FileHost;
    } else if (c === ":" && !this.#inBrackets) {
      if (this.#buffer === "") return false;
      if (override === State.Hostname) return false;
      const host = parseHost(this.#buffer, !isSpecial(url));
      if (host === null) return false;
      url.host = host;
      this.#buffer = "";
      this.#state = State.Port;
    } else if (this.#endsAuthority(c)) {
      this.#at--;
      if (isSpecial(url) && this.#buffer === "") return false;
      const credentials = url.username !== "" || url.password !== "" || url.port !== null;
      if (override !== undefined && this.#buffer === "" && credentials) return false;
      const host = parseHost(this.#buffer, !isSpecial(url));
      if (host === null) return false;
      url.host = host;
      this.#buffer = "";
      this.#state = State.PathStart;
      if (override !== undefined) return true;
    } else {
      if (c === "[") this.#inBrackets = true;
      if (c === "]") this.#inBrackets = false;
      this.#buffer += c;
    }
    return;
  }

  #port(c: string): boolean | undefined {
    const { url, override } = this;
    if (/^[0-9]$/.test(c)) {
      this.#buffer += c;
      return;
    }
    if (!this.#endsAuthority(c) && override === undefined) return false;
    if (this.#buffer !== "") {
      const port = Number(this.#buffer);
      if (port > 0xffff) return false;
      url.port = port === PORTS.get(url.scheme) ? null : port;
      this.#buffer = "";
      if (override !== undefined) return true;
    }
    if (override !== undefined) return false;
    this.#state = State.PathStart;
    this.#at--;
    return;
  }

  #file(c: string): void {
    const { url, base, input } = this;
    url.scheme = "file";
    url.host = "";
    if (c === "/" || c === "\\") {
      this.#state = State.FileSlash;
    } else if (base !== null && base.scheme === "file") {
      url.host = base.host;
      this.#inherit(base);
      if (c !== "" && c !== "?" && c !== "#") {
        url.query = null;
        if (startsWithDrive(input, this.#at)) url.path = [];
        else shorten(url);
        this.#state = State.Path;
        this.#at--;
      } else {
        this.#afterBase(c);
      }
    } else {
      this.#state = State.Path;
      this.#at--;
    }
  }

  #fileHost(c: string): boolean | undefined {
    const { url, override } = this;
    if (c !== "" && c !== "/" && c !== "\\" && c !== "?" && c !== "#") {
      this.#buffer += c;
      return;
    }
    this.#at--;
    if (override === undefined && /^[A-Za-z][:|]$/.test(this.#buffer)) {
      this.#state = State.Path; // it is a drive letter, which stays in the buffer
      return;
    }
    if (this.#buffer === "") {
      url.host = "";
    } else {
      const host = parseHost(this.#buffer, !isSpecial(url));
      if (host === null) return false;
      url.host = host === "localhost" ? "" : host;
      this.#buffer = "";
    }
    if (override !== undefined) return true;
    this.#state = State.PathStart;
    return;
  }

  #pathStart(c: string): boolean | undefined {
    const { url, override } = this;
    if (isSpecial(url)) {
      this.#state = State.Path;
      if (c !== "/" && c !== "\\") this.#at--;
    } else if (override === undefined && (c === "?" || c === "#")) {
      this.#begin(c);
    } else if (c !== "") {
      this.#state = State.Path;
      if (c !== "/") this.#at--;
    } else if (override !== undefined && url.host === null) {
      (url.path as string[]).push("");
    }
    return;
  }

  #path(c: string): void {
    const { url, override } = this;
    const slash = c === "/" || (isSpecial(url) && c === "\\");
    if (!slash && c !== "" && (override !== undefined || (c !== "?" && c !== "#"))) {
      this.#buffer += c;
      return;
    }
    const path = url.path as string[];
    const plain = this.#buffer.toLowerCase().replaceAll("%2e", ".");
    if (plain === "..") {
      shorten(url);
      if (!slash) path.push("");
    } else if (plain === ".") {
      if (!slash) path.push("");
    } else {
      let segment = this.#buffer;
      if (url.scheme === "file" && path.length === 0 && /^[A-Za-z][:|]$/.test(segment)) segment = `${segment[0]}:`;
      path.push(encode(segment, PATH));
    }
    this.#buffer = "";
    if (c === "?" || c === "#") this.#begin(c);
  }
}

function shorten(url: UrlRecord): void {
  const path = url.path as string[];
  if (url.scheme === "file" && path.length === 1 && /^[A-Za-z]:$/.test(path[0]!)) return;
  path.pop();
}

function startsWithDrive(input: string, at: number): boolean {
  return /^[A-Za-z][:|](?:[/\\?#]|$)/.test(input.slice(at, at + 3));
}

/** Its serialisation, null for what is no host. */
function parseHost(input: string, opaque: boolean): string | null {
  if (input.startsWith("[")) {
    return input.endsWith("]") ? parseIpv6(input.slice(1, -1)) : null;
  }
  if (opaque) return FORBIDDEN_HOST.test(input) ? null : encode(input, C0);
  const domain = input.includes("%") ? decodeUtf8Raw(percentDecode(input)) : input.toWellFormed();
  const ascii = domainToAscii(domain);
  if (ascii === null || ascii === "" || FORBIDDEN_DOMAIN.test(ascii)) return null;
  return endsInNumber(ascii) ? parseIpv4(ascii) : ascii;
}

export function serializePath(url: UrlRecord): string {
  return typeof url.path === "string" ? url.path : url.path.map((segment) => `/${segment}`).join("");
}

export function serializeUrl(url: UrlRecord, withFragment = true): string {
  let text = `${url.scheme}:`;
  if (url.host !== null) {
    text += "//";
    if (url.username !== "" || url.password !== "") {
      text += url.username + (url.password === "" ? "" : `:${url.password}`) + "@";
    }
    text += url.host + (url.port === null ? "" : `:${url.port}`);
  } else if (typeof url.path !== "string" && url.path.length > 1 && url.path[0] === "") {
    text += "/.";
  }
  text += serializePath(url);
  if (url.query !== null) text += `?${url.query}`;
  if (withFragment && url.fragment !== null) text += `#${url.fragment}`;
  return text;
}
