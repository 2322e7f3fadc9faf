import { Object } from "./intrinsics";
import { arrayOf, isObject, objectOr, type Json } from "./json";

/*
 * Reading the `data` of an interaction.
 * https://discord.com/developers/docs/interactions/receiving-and-responding#interaction-object-interaction-data
 */

export const SUBCOMMAND = 1;
export const SUBCOMMAND_GROUP = 2;

/** Option values by name; the options of subcommands and groups count as the command's own. */
export function flattenInteractionOptions(options: unknown): Json {
  const result: Json = {};
  for (const option of arrayOf(options)) {
    if (!isObject(option)) continue;
    if (option.type === SUBCOMMAND || option.type === SUBCOMMAND_GROUP) {
      const nested = flattenInteractionOptions(option.options);
      for (const name of Object.keys(nested)) result[name] = nested[name];
    } else if (typeof option.name === "string") {
      result[option.name] = option.value;
    }
  }
  return result;
}

/** The option that the user is typing. */
export function focusedOption(options: unknown): { name: string; value: unknown } | null {
  for (const option of arrayOf(options)) {
    if (!isObject(option)) continue;
    if (option.focused === true) return { name: `${option.name}`, value: option.value };
    const nested = focusedOption(option.options);
    if (nested) return nested;
  }
  return null;
}

/** The names of the chosen group and subcommand. */
export function invokedPath(data: unknown): { group: string | null; subcommand: string | null } {
  const first = firstOption(data);
  if (!first) return { group: null, subcommand: null };
  const name = typeof first.name === "string" ? first.name : null;
  if (first.type !== SUBCOMMAND_GROUP) return { group: null, subcommand: name };
  const nested = firstOption(first);
  return { group: name, subcommand: typeof nested?.name === "string" ? nested.name : null };
}

function firstOption(holder: unknown): Json | null {
  const first = arrayOf(objectOr(holder).options)[0];
  return isObject(first) ? first : null;
}

/** What was entered in a modal, by custom id: text, or a list for selects and uploads. */
export function modalFields(components: unknown): Json {
  const fields: Json = {};
  for (const each of arrayOf(components)) {
    if (!isObject(each)) continue;
    // Text inputs come in action rows (`components`) or in labels (`component`).
    const nested = modalFields([...arrayOf(each.components), each.component]);
    for (const id of Object.keys(nested)) fields[id] = nested[id];
    if (typeof each.custom_id === "string") fields[each.custom_id] = each.value ?? each.values ?? null;
  }
  return fields;
}
