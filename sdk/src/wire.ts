import { ButtonStyles, ComponentType, InputTextStyles, MessageFlags } from "./constants";
import { invalid } from "./errors";
import { Array, Set, Uint8Array } from "./intrinsics";
import { arrayOf, defined, isObject, type Json } from "./json";

/*
 * From what scripts may write to what the host's ops take: builders become JSON, the builders' shorthands become
 * Discord's fields, files become text or base64.
 */

/** The fields of a message, wherever it goes. What needs no translation is passed on for the host to judge. */
export function wireMessage(body: Json): Json {
  const out = { ...body };
  if (Array.isArray(body.components)) {
    const components = wireComponents(body.components);
    out.components = components;
    if (components.some((each) => standsAlone.has(each.type))) out.flags = flagsOfLayout(body);
  }
  if (Array.isArray(body.attachments)) {
    out.attachments = body.attachments.map((each) => wireFile(each, "attachments[]"));
  }
  if (isObject(body.poll)) out.poll = { ...body.poll, answers: arrayOf(body.poll.answers).map(wirePollAnswer) };
  return out;
}

/** What only messages have that are nothing but components, which a flag says. */
const standsAlone = new Set<unknown>([
  ComponentType.Section,
  ComponentType.TextDisplay,
  ComponentType.MediaGallery,
  ComponentType.File,
  ComponentType.Separator,
  ComponentType.Container,
]);

function flagsOfLayout(body: Json): unknown {
  const { content, embeds, poll, flags } = body;
  if ((content ?? "") !== "" || arrayOf(embeds).length > 0 || isObject(poll)) {
    throw invalid("components", "texts, sections and their like stand alone: put the content into a textDisplay, and leave embeds and poll out");
  }
  // What is no number is for the host to judge.
  return flags === undefined || typeof flags === "number" ? (flags ?? 0) | MessageFlags.IS_COMPONENTS_V2 : flags;
}

function wirePollAnswer(answer: unknown): unknown {
  return isObject(answer) && answer.emoji !== undefined ? { ...answer, emoji: wireEmoji(answer.emoji) } : answer;
}

/** Only rows hold buttons and selects; one that stands alone gets its row. */
const inRows = new Set<unknown>([
  ComponentType.Button,
  ComponentType.StringSelect,
  ComponentType.UserSelect,
  ComponentType.RoleSelect,
  ComponentType.MentionableSelect,
  ComponentType.ChannelSelect,
]);

export function wireComponents(components: readonly unknown[]): Json[] {
  return components.map((component) => {
    const json = wireComponent(component, "components");
    return inRows.has(json.type) ? { type: ComponentType.ActionRow, components: [json] } : json;
  });
}

function wireComponent(component: unknown, where: string): Json {
  const json = isObject(component) && typeof component.toJSON === "function" ? component.toJSON() : component;
  if (!isObject(json)) throw invalid(where, "a component must be a builder or an object");
  const { default_users, default_roles, default_channels, default_values, ...out } = json;
  const defaults = [
    ...arrayOf(default_users).map((id) => ({ id, type: "user" })),
    ...arrayOf(default_roles).map((id) => ({ id, type: "role" })),
    ...arrayOf(default_channels).map((id) => ({ id, type: "channel" })),
    ...arrayOf(default_values),
  ];
  if (defaults.length > 0) out.default_values = defaults;
  if (Array.isArray(out.components)) {
    out.components = out.components.map((child, index) => wireComponent(child, `${where}[${index}]`));
  }
  if (out.component !== undefined) {
    if (out.component === null) throw invalid(`${where}.component`, "the label has no component; use setComponent");
    out.component = wireComponent(out.component, `${where}.component`);
  }
  if (out.accessory !== undefined) {
    if (out.accessory === null) throw invalid(`${where}.accessory`, "the section has no accessory; use setAccessory");
    out.accessory = wireComponent(out.accessory, `${where}.accessory`);
  }
  if (out.type === ComponentType.Separator) out.spacing = spacing(out.spacing);
  // Discord wants a style of every button and text field; links and premium buttons have theirs from the builder.
  if (out.type === ComponentType.Button) out.style ??= ButtonStyles.Secondary;
  if (out.type === ComponentType.InputText) out.style ??= InputTextStyles.Short;
  return defined(out);
}

function spacing(value: unknown): unknown {
  if (value === "small") return 1;
  return value === "large" ? 2 : value;
}

/** `{ filename, text }`, `{ filename, data }` with bytes or base64, `{ url }`, or the first flora's `{ base64: { … } }`. */
export function wireFile(attachment: unknown, where: string): unknown {
  if (!isObject(attachment)) throw invalid(where, "an object such as { filename, text } is needed");
  const { url } = attachment;
  const file = attachment.base64 ?? attachment.Base64 ?? attachment.Url ?? (isObject(url) ? url : attachment);
  if (!isObject(file)) throw invalid(`${where}.base64`, "an object such as { filename, data } is needed");
  return file.data instanceof Uint8Array ? { ...file, data: file.data.toBase64() } : file;
}

/** A custom emoji as it is written in a message, as Discord's paths name it; anything else as it is. */
export function wireEmoji(emoji: unknown): unknown {
  return typeof emoji === "string" ? emoji.replace(/^<a?:(\w+:\d+)>$/, "$1") : emoji;
}

/** A suggestion of an autocomplete; a plain value is its own name. */
export function wireChoice(value: unknown): unknown {
  return isObject(value) ? value : { name: `${value}`, value };
}
