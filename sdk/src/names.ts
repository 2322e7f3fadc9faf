import { Map } from "./intrinsics";

const camelNames = new Map<string, string>();

/** `guild_id` -> `guildId`. Keys without an underscore (ids, locales) are returned as they are. */
export function camelCase(key: string): string {
  if (!key.includes("_")) return key;
  let name = camelNames.get(key);
  if (name === undefined) {
    name = key.replace(/(?<=.)_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
    camelNames.set(key, name);
  }
  return name;
}

/** `sendMessage` -> `send_message`. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
