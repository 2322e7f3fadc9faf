import { invalid } from "./errors";
import type { Host } from "./host";
import { Array, Object } from "./intrinsics";
import { isObject, type Json } from "./json";

/*
 * `kv`: each method hands its arguments to an op of the host, which checks them and knows the guild. A store is a
 * name; the host makes it when something is first written to it.
 */

export function makeKv(host: Host): { kv: Kv; store: Kv["store"] } {
  const store = (name: string): KvStore => Object.freeze(new Store(host, name));
  return { kv: Object.freeze({ store }), store };
}

class Store implements KvStore {
  readonly #host: Host;
  readonly name: string;

  constructor(host: Host, name: string) {
    if (typeof name !== "string") throw invalid("store", "kv.store takes the name of a store");
    this.#host = host;
    this.name = name;
  }

  get(key: string): Promise<any> {
    return this.#op("get", { key });
  }

  getWithMetadata(key: string): Promise<any> {
    return this.#op("get_with_metadata", { key });
  }

  set(key: string, value: string, options?: KvSetOptions): Promise<any> {
    return this.#op("set", { ...wire("options", options), key, value });
  }

  updateMetadata(key: string, metadata?: JsonValue): Promise<any> {
    return this.#op("update_metadata", { key, metadata });
  }

  async delete(key: string, options?: { ifVersion?: number }): Promise<boolean> {
    return (await this.#op("delete", { ...wire("options", options), key })) === true;
  }

  list(options?: KvListOptions): Promise<any> {
    return this.#op("list", wire("options", options));
  }

  count(options?: { prefix?: string }): Promise<any> {
    return this.#op("count", wire("options", options));
  }

  increment(key: string, by?: number, options?: KvExpiry): Promise<any> {
    return this.#op("increment", { ...wire("options", options), key, by });
  }

  async transaction(steps: readonly KvStep[]): Promise<any> {
    if (!Array.isArray(steps)) throw invalid("steps", "a transaction takes a list of steps");
    const wired: Json[] = [];
    for (const step of steps) wired[wired.length] = { store: this.name, ...wire("steps", step) };
    return this.#host.op("kv_transaction", { steps: wired });
  }

  #op(name: string, args: Json): Promise<any> {
    return this.#host.op(`kv_${name}`, { ...args, store: this.name });
  }
}

/** Whole numbers may be bigints, as the first flora's types wanted them. */
function wire(name: string, given: unknown): Json {
  if (given === undefined || given === null) return {};
  if (!isObject(given)) throw invalid(name, "not an object");
  const out: Json = {};
  for (const key of Object.keys(given)) {
    const value = given[key];
    out[key] = typeof value === "bigint" ? +`${value}` : value;
  }
  return out;
}
