/** A value as a failed assertion shows it: JavaScript, on several lines where it is long. */
export function show(value: unknown): string {
  const flat = write(value, "", []);
  return flat.length <= 72 ? flat : write(value, "\n", []);
}

function write(value: unknown, newline: string, above: readonly unknown[]): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "bigint":
      return `${value}n`;
    case "function":
      return `[Function: ${value.name || "anonymous"}]`;
    case "object":
      break;
    default:
      return String(value);
  }
  if (value === null) return "null";
  if (above.includes(value)) return "[Circular]";
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (value instanceof Date) return `Date(${Number.isNaN(+value) ? "invalid" : value.toISOString()})`;
  if (value instanceof RegExp) return String(value);
  const chain = [...above, value];
  const inner = newline === "" ? "" : `${newline}  `;
  const list = (parts: string[], open: string, close: string): string => {
    if (parts.length === 0) return open + close;
    return newline === "" ? `${open} ${parts.join(", ")} ${close}` : `${open}${inner}${parts.join(`,${inner}`)}${newline}${close}`;
  };
  if (Array.isArray(value)) return list(value.map((each) => write(each, inner, chain)), "[", "]");
  if (value instanceof Map) {
    return list([...value].map(([key, each]) => `${write(key, "", chain)} => ${write(each, inner, chain)}`), "Map {", "}");
  }
  if (value instanceof Set) return list([...value].map((each) => write(each, inner, chain)), "Set {", "}");
  const parts = Object.entries(value).map(([key, each]) => {
    const name = /^[A-Za-z_$][\w$]*$/.test(key) ? key : JSON.stringify(key);
    return `${name}: ${write(each, inner, chain)}`;
  });
  return list(parts, "{", "}");
}
