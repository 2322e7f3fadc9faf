/** What the Console Standard has beyond the engine's `console`: counters, timers, groups, assertions, formats. */

const MAX_LABELS = 1000;
const MAX_DEPTH = 16;

type Write = (...values: unknown[]) => void;

export function extendConsole(): void {
  const { console } = globalThis as any;
  if (typeof console.assert === "function") return; // the test kit installs the SDK more than once
  const counts = new Map<string, number>();
  const timers = new Map<string, number>();
  let depth = 0;

  const indented =
    (write: Write): Write =>
    (...values) => {
      const formatted = typeof values[0] === "string" && values[0].includes("%") && values.length > 1 ? format(values) : values;
      if (depth === 0) write(...formatted);
      else if (typeof formatted[0] === "string") write("  ".repeat(depth) + formatted[0], ...formatted.slice(1));
      else write("  ".repeat(depth).slice(1), ...formatted);
    };
  for (const name of ["log", "info", "warn", "error", "debug"]) console[name] = indented(console[name]);
  const { log, info, warn, trace } = console as Record<string, Write>;

  const elapsed = (label: string): string | undefined => {
    const since = timers.get(label);
    return since === undefined ? undefined : `${label}: ${Date.now() - since} ms`;
  };
  const keep = (labels: Map<string, number>, label: string, value: number): void => {
    if (labels.size < MAX_LABELS || labels.has(label)) labels.set(label, value);
  };
  const group: Write = (...values) => {
    if (values.length > 0) info!(...values);
    if (depth < MAX_DEPTH) depth++;
  };

  Object.assign(console, {
    assert(condition: unknown, ...values: unknown[]) {
      if (condition) return;
      if (typeof values[0] === "string") console.error(`Assertion failed: ${values[0]}`, ...values.slice(1));
      else console.error("Assertion failed", ...values);
    },
    clear() {},
    count(label: unknown = "default") {
      const name = `${label as string}`;
      const count = (counts.get(name) ?? 0) + 1;
      keep(counts, name, count);
      info!(`${name}: ${count}`);
    },
    countReset(label: unknown = "default") {
      const name = `${label as string}`;
      if (!counts.delete(name)) warn!(`there is no count "${name}"`);
    },
    dir(value: unknown) {
      log!(value);
    },
    dirxml: log,
    group,
    groupCollapsed: group,
    groupEnd() {
      if (depth > 0) depth--;
    },
    time(label: unknown = "default") {
      const name = `${label as string}`;
      if (timers.has(name)) warn!(`the timer "${name}" runs already`);
      else keep(timers, name, Date.now());
    },
    timeLog(label: unknown = "default", ...values: unknown[]) {
      const text = elapsed(`${label as string}`);
      if (text === undefined) warn!(`there is no timer "${label as string}"`);
      else info!(text, ...values);
    },
    timeEnd(label: unknown = "default") {
      const name = `${label as string}`;
      const text = elapsed(name);
      if (text === undefined) warn!(`there is no timer "${name}"`);
      else info!(text);
      timers.delete(name);
    },
    trace(...values: unknown[]) {
      const stack = `${new Error().stack ?? ""}`
        .split("\n")
        .filter((frame) => frame !== "" && !frame.includes("flora:"))
        .join("\n");
      trace!(...(values.length === 0 ? ["Trace"] : format(values)), `\n${stack}`);
    },
  });
}

/** Console Standard, "formatter". What is left over stays as it is. */
function format(values: readonly unknown[]): unknown[] {
  const [first, ...rest] = values;
  if (typeof first !== "string") return [...values];
  let at = 0;
  const text = first.replace(/%[sdifoOc%]/g, (mark) => {
    if (mark === "%%") return "%";
    if (at >= rest.length) return mark;
    const value = rest[at++];
    switch (mark) {
      case "%s":
        return typeof value === "symbol" ? value.toString() : typeof value === "object" && value !== null ? shown(value) : `${value as string}`;
      case "%d":
      case "%i":
        return `${typeof value === "symbol" ? NaN : parseInt(`${value as string}`, 10)}`;
      case "%f":
        return `${typeof value === "symbol" ? NaN : parseFloat(`${value as string}`)}`;
      case "%c":
        return "";
      default:
        return shown(value);
    }
  });
  return [text, ...rest.slice(at)];
}

function shown(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
