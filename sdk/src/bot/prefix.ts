/**
 * A command in a message's text: `! ping a  b` is `ping` with `["a", "b"]`. The prefix and the name are matched
 * exactly, words are split at white space without quoting. Null where there is no command.
 */
export function parsePrefix(content: unknown, prefix: string): { name: string; args: string[] } | null {
  if (typeof content !== "string") return null;
  const text = content.trim();
  if (!text.startsWith(prefix)) return null;
  const [name = "", ...args] = text.slice(prefix.length).trim().split(/\s+/);
  return { name, args };
}
