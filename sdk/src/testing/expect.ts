import { show } from "./show";

/** A test's expectation does not hold. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

type Asymmetric = { readonly matches: (value: unknown) => boolean; readonly text: string };
const asymmetric = new WeakSet<object>();

function special(text: string, matches: (value: unknown) => boolean): any {
  const made: Asymmetric = { text, matches };
  asymmetric.add(made);
  return made;
}

function isSpecial(value: unknown): value is Asymmetric {
  return typeof value === "object" && value !== null && asymmetric.has(value);
}

/** `partial`: what `expected` does not name does not count. */
function same(actual: unknown, expected: unknown, partial: boolean): boolean {
  if (isSpecial(expected)) return expected.matches(actual);
  if (Object.is(actual, expected)) return true;
  if (typeof actual !== "object" || typeof expected !== "object" || actual === null || expected === null) return false;
  if (actual instanceof Date && expected instanceof Date) return +actual === +expected;
  if (actual instanceof RegExp && expected instanceof RegExp) return String(actual) === String(expected);
  if (actual instanceof Error && expected instanceof Error) {
    return actual.name === expected.name && actual.message === expected.message;
  }
  if (Array.isArray(actual) !== Array.isArray(expected)) return false;
  if (Array.isArray(actual) && Array.isArray(expected)) {
    return actual.length === expected.length && expected.every((each, index) => same(actual[index], each, partial));
  }
  if (actual instanceof Map && expected instanceof Map) {
    return actual.size === expected.size && [...expected].every(([key, value]) => same(actual.get(key), value, partial));
  }
  if (actual instanceof Set && expected instanceof Set) {
    return actual.size === expected.size && [...expected].every((each) => actual.has(each));
  }
  if (!partial && Object.getPrototypeOf(actual) !== Object.getPrototypeOf(expected)) return false;
  const names = (value: object) => Object.keys(value).filter((key) => Reflect.get(value, key) !== undefined);
  const wanted = partial ? Object.keys(expected) : names(expected);
  if (!partial && names(actual).length !== wanted.length) return false;
  return wanted.every((key) => key in actual && same(Reflect.get(actual, key), Reflect.get(expected, key), partial));
}

/** Specials are shown by what they stand for. */
function shown(value: unknown): string {
  if (isSpecial(value)) return value.text;
  return show(value);
}

function check(holds: boolean, negated: boolean, actual: unknown, claim: string): void {
  if (holds === negated) throw new AssertionError(`expected ${shown(actual)} ${negated ? "not " : ""}${claim}`);
}

function contains(actual: unknown, item: unknown): boolean {
  if (typeof actual === "string") return actual.includes(String(item));
  if (actual instanceof Set) return actual.has(item);
  if (Array.isArray(actual)) return actual.some((each) => same(each, item, false));
  throw new TypeError(`toContain needs a text, a list or a set, not ${show(actual)}`);
}

function lengthOf(actual: unknown): unknown {
  return typeof actual === "string" || (typeof actual === "object" && actual !== null)
    ? Reflect.get(Object(actual), "length")
    : undefined;
}

type ErrorMatch = string | RegExp | (new (...args: any[]) => Error) | undefined;

function errorMatches(thrown: unknown, wanted: ErrorMatch): boolean {
  if (wanted === undefined) return true;
  if (typeof wanted === "function") return thrown instanceof wanted;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return typeof wanted === "string" ? message.includes(wanted) : wanted.test(message);
}

function describeMatch(wanted: ErrorMatch): string {
  if (wanted === undefined) return "";
  return typeof wanted === "function" ? ` ${wanted.name}` : ` ${show(wanted)}`;
}

function matchers(actual: unknown, negated: boolean) {
  const is = (holds: boolean, claim: string): void => check(holds, negated, actual, claim);
  const number = (claim: string, compare: (value: number) => boolean): void =>
    is(typeof actual === "number" && compare(actual), claim);
  return {
    toBe: (expected: unknown) => is(Object.is(actual, expected), `to be ${shown(expected)}`),
    toEqual: (expected: unknown) => is(same(actual, expected, false), `to equal ${shown(expected)}`),
    toMatchObject: (expected: object) => is(same(actual, expected, true), `to match ${shown(expected)}`),
    toContain: (item: unknown) => is(contains(actual, item), `to contain ${shown(item)}`),
    toMatch: (expected: string | RegExp) =>
      is(
        typeof actual === "string" && (typeof expected === "string" ? actual.includes(expected) : expected.test(actual)),
        `to match ${shown(expected)}`,
      ),
    toHaveLength: (length: number) => is(lengthOf(actual) === length, `to have the length ${length}`),
    toBeDefined: () => is(actual !== undefined, "to be defined"),
    toBeUndefined: () => is(actual === undefined, "to be undefined"),
    toBeNull: () => is(actual === null, "to be null"),
    toBeTruthy: () => is(Boolean(actual), "to be true or like it"),
    toBeFalsy: () => is(!actual, "to be false or like it"),
    toBeInstanceOf: (ctor: new (...args: any[]) => unknown) => is(actual instanceof ctor, `to be a ${ctor.name}`),
    toBeGreaterThan: (bound: number) => number(`to be greater than ${bound}`, (value) => value > bound),
    toBeGreaterThanOrEqual: (bound: number) => number(`to be at least ${bound}`, (value) => value >= bound),
    toBeLessThan: (bound: number) => number(`to be less than ${bound}`, (value) => value < bound),
    toBeLessThanOrEqual: (bound: number) => number(`to be at most ${bound}`, (value) => value <= bound),
    toBeCloseTo: (expected: number, digits = 2) =>
      number(`to be close to ${expected}`, (value) => Math.abs(value - expected) < 10 ** -digits / 2),
    toThrow: (wanted?: ErrorMatch) => {
      if (typeof actual !== "function") throw new TypeError("toThrow needs a function");
      let outcome: { thrown: unknown } | undefined;
      try {
        actual();
      } catch (thrown) {
        outcome = { thrown };
      }
      const holds = outcome !== undefined && errorMatches(outcome.thrown, wanted);
      const did = outcome === undefined ? "it did not throw" : `it threw ${show(outcome.thrown)}`;
      check(holds, negated, actual, `to throw${describeMatch(wanted)}; ${did}`);
    },
  };
}

type Matchers = ReturnType<typeof matchers>;

/** The same matchers, on what a promise comes to. */
function later(settle: () => Promise<unknown>, negated: boolean): Record<string, (...args: any[]) => Promise<void>> {
  const names = Object.keys(matchers(undefined, negated)) as (keyof Matchers)[];
  const out: Record<string, (...args: any[]) => Promise<void>> = {};
  for (const name of names) {
    out[name] = async (...args: unknown[]) => {
      const value = await settle();
      const subject = name === "toThrow" ? () => { throw value; } : value;
      (matchers(subject, negated)[name] as (...args: unknown[]) => void)(...args);
    };
  }
  return out;
}

async function rejection(actual: unknown): Promise<unknown> {
  let value: unknown;
  try {
    value = await (typeof actual === "function" ? actual() : actual);
  } catch (thrown) {
    return thrown;
  }
  throw new AssertionError(`expected a rejection, but it came to ${show(value)}`);
}

function expectation(actual: unknown): unknown {
  const resolved = async (): Promise<unknown> => (typeof actual === "function" ? actual() : actual);
  const rejected = (): Promise<unknown> => rejection(actual);
  return {
    ...matchers(actual, false),
    not: matchers(actual, true),
    resolves: { ...later(resolved, false), not: later(resolved, true) },
    rejects: { ...later(rejected, false), not: later(rejected, true) },
  };
}

export const expect = Object.assign(expectation as any, {
  any: (ctor: Function) =>
    special(`any ${ctor.name}`, (value) => value instanceof ctor || typeof value === ctor.name.toLowerCase()),
  anything: () => special("anything", (value) => value !== undefined && value !== null),
  stringContaining: (part: string) =>
    special(`text with ${show(part)}`, (value) => typeof value === "string" && value.includes(part)),
  stringMatching: (expression: RegExp) =>
    special(`text that matches ${expression}`, (value) => typeof value === "string" && expression.test(value)),
  objectContaining: (part: object) => special(`an object with ${show(part)}`, (value) => same(value, part, true)),
  arrayContaining: (items: readonly unknown[]) =>
    special(`a list with ${show(items)}`, (value) =>
      Array.isArray(value) && items.every((item) => value.some((each) => same(each, item, false)))),
});
