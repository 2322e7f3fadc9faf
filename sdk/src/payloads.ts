import type { APIGuildMember, APIMessage, APIUser } from "discord-api-types/v10";
import { Array, Map, Object, Set } from "./intrinsics";
import { arrayOf, isObject, objectOr, stringOr, type Json } from "./json";
import { camelCase } from "./names";

/*
 * Discord's payloads in the shape that scripts see: camelCase keys, null for a documented field that is absent.
 * What is not documented is passed on under its camelCase name; nothing here throws on what it does not know.
 */

/** How one field is passed on: under which name, and in which shape. */
interface Plan {
  readonly name: string;
  readonly shape: (value: unknown) => unknown;
}

const plans = new Map<string, Plan>();
/** Discord has some hundreds of field names; what is more are ids. */
const MAX_PLANS = 2000;

const same = (value: unknown): unknown => value;
const orUser = (value: unknown): unknown => (isObject(value) ? user(value) : camel(value));
const shapeOfField = new Map<string, (value: unknown) => unknown>([
  // Subtrees that go back to Discord as they came, so they keep Discord's own keys.
  ["components", same],
  ["data", same],
  ["user", orUser],
  ["author", orUser],
  ["inviter", orUser],
  ["target_user", orUser],
  ["creator", orUser],
  ["mentions", (value) => (Array.isArray(value) ? value.map((each) => (isObject(each) ? user(each) : each)) : camel(value))],
  ["referenced_message", (value) => (isObject(value) ? message(value) : camel(value))],
]);

function planOf(key: string): Plan {
  const known = plans.get(key);
  if (known !== undefined) return known;
  const plan = { name: camelCase(key), shape: shapeOfField.get(key) ?? camel };
  if (plans.size < MAX_PLANS) plans.set(key, plan);
  return plan;
}

export function camel(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  return Array.isArray(value) ? value.map(camel) : camelObject(value as Json);
}

/**
 * `except` are left out. `later` keep their place, but not their value: the caller gives them one (they are objects,
 * which would be shaped twice).
 */
function camelObject(value: Json, later?: ReadonlySet<string>, except?: ReadonlySet<string>): Json {
  const out: Json = {};
  const keys = Object.keys(value);
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index]!;
    if (except?.has(key)) continue;
    const field = value[key];
    const plan = planOf(key);
    out[plan.name] = typeof field !== "object" || field === null || later?.has(key) ? field : plan.shape(field);
  }
  return out;
}

type Fields<T> = { readonly [K in keyof T]?: unknown };

function user(raw: Fields<APIUser> & Json): Json {
  const out = camelObject(raw);
  out.id = raw.id ?? null;
  out.username = raw.username ?? null;
  out.discriminator = discriminator(raw.discriminator);
  out.bot = raw.bot === true;
  out.globalName = raw.global_name ?? null;
  out.avatar = raw.avatar ?? null;
  return out;
}

/** "0" is Discord's mark of a user without one. */
function discriminator(value: unknown): number | null {
  const number = typeof value === "string" ? +value : value;
  return typeof number === "number" && number > 0 ? number : null;
}

const shapedByMember = new Set(["user", "roles"]);

export function member(value: unknown, owner: Json | null = null): Json | null {
  if (!isObject(value)) return null;
  const raw: Fields<APIGuildMember & { permissions: string }> & Json = value;
  const out = camelObject(raw, shapedByMember);
  out.user = isObject(raw.user) ? user(raw.user) : owner;
  out.nick = raw.nick ?? null;
  out.avatar = raw.avatar ?? null;
  out.roles = arrayOf(raw.roles);
  out.joinedAt = raw.joined_at ?? null;
  out.premiumSince = raw.premium_since ?? null;
  out.deaf = raw.deaf ?? false;
  out.mute = raw.mute ?? false;
  out.flags = raw.flags ?? 0;
  out.pending = raw.pending ?? false;
  out.permissions = raw.permissions ?? null;
  out.communicationDisabledUntil = raw.communication_disabled_until ?? null;
  return out;
}

const shapedByMessage = new Set(["author", "member"]);

export function message(raw: Fields<APIMessage> & Json): Json {
  const author = isObject(raw.author) ? user(raw.author) : null;
  const out = camelObject(raw, shapedByMessage);
  out.id = raw.id ?? null;
  out.channelId = raw.channel_id ?? null;
  out.guildId = raw.guild_id ?? null;
  out.content = stringOr(raw.content, "");
  out.author = author;
  out.member = member(raw.member, author);
  return out;
}

function messageUpdate(raw: Json): Json {
  const updated = message(raw);
  return {
    ...updated,
    editedTimestamp: raw.edited_timestamp ?? null,
    old: null,
    new: updated,
  };
}

const shapedByReaction = new Set(["member", "emoji"]);

function reaction(raw: Json): Json {
  const who = isObject(raw.member) && isObject(raw.member.user) ? user(raw.member.user) : null;
  const out = camelObject(raw, shapedByReaction);
  out.userId = raw.user_id ?? null;
  out.channelId = raw.channel_id ?? null;
  out.messageId = raw.message_id ?? null;
  out.guildId = raw.guild_id ?? null;
  out.member = member(raw.member, who);
  out.emoji = camel(raw.emoji) ?? null;
  out.burst = raw.burst === true;
  return out;
}

/** Under `interactionId` and `interactionToken`: a bare `id` would look like a message's. */
const renamedInInteractions = new Set(["id", "token"]);
const shapedByInteraction = new Set(["user", "member", "message"]);

function interaction(raw: Json): Json {
  // In a guild Discord puts the user inside the member.
  const who = isObject(raw.member) && isObject(raw.member.user) ? raw.member.user : raw.user;
  const invoker = isObject(who) ? user(who) : null;
  const source = isObject(raw.message) ? message(raw.message) : null;
  const out = camelObject(raw, shapedByInteraction, renamedInInteractions);
  out.interactionId = raw.id ?? null;
  out.interactionToken = raw.token ?? null;
  out.applicationId = raw.application_id ?? null;
  out.guildId = raw.guild_id ?? null;
  out.channelId = raw.channel_id ?? null;
  out.user = invoker;
  out.member = member(raw.member, invoker);
  out.data = raw.data ?? null;
  out.locale = raw.locale ?? null;
  out.guildLocale = raw.guild_locale ?? null;
  out.message = source;
  return out;
}

function applicationCommand(raw: Json): Json {
  const out = interaction(raw);
  out.commandName = objectOr(raw.data).name ?? null;
  return out;
}

function onMessage(raw: Json): Json {
  const out = interaction(raw);
  out.messageId = objectOr(raw.message).id ?? null;
  return out;
}

function guildMember(raw: Json): Json {
  return {
    ...member(raw, null),
    deaf: raw.deaf ?? null,
    mute: raw.mute ?? null,
    guildId: raw.guild_id ?? null,
  };
}

const shapes: { readonly [event: string]: (raw: Json) => Json } = {
  // The other guilds of the bot are none of a script's business.
  ready: (raw) => ({ user: isObject(raw.user) ? user(raw.user) : null, guildIds: [] }),
  messageCreate: message,
  messageUpdate,
  messageDelete: (raw) => ({
    ...camelObject(raw),
    id: raw.id ?? null,
    channelId: raw.channel_id ?? null,
    guildId: raw.guild_id ?? null,
  }),
  messageDeleteBulk: (raw) => ({
    ...camelObject(raw),
    ids: arrayOf(raw.ids),
    channelId: raw.channel_id ?? null,
    guildId: raw.guild_id ?? null,
  }),
  reactionAdd: reaction,
  reactionRemove: reaction,
  reactionRemoveEmoji: reaction,
  reactionRemoveAll: (raw) => ({
    ...camelObject(raw),
    messageId: raw.message_id ?? null,
    channelId: raw.channel_id ?? null,
    guildId: raw.guild_id ?? null,
  }),
  interactionCreate: applicationCommand,
  autocomplete: applicationCommand,
  componentInteraction: onMessage,
  modalSubmit: onMessage,
  guildMemberAdd: guildMember,
  guildMemberUpdate: guildMember,
};

/** `ctx.msg` of an event. */
export function shape(event: string, payload: unknown): Json {
  const raw = objectOr(payload);
  const known = Object.hasOwn(shapes, event) ? shapes[event] : undefined;
  if (known) return known(raw);
  const shaped = camelObject(raw);
  if (isObject(raw.member)) shaped.member = member(raw.member, isObject(raw.user) ? user(raw.user) : null);
  return shaped;
}

/** `ctx.resolved` of an interaction: what its options and selects refer to, by kind and id. */
export function resolved(data: Json): Json {
  const raw = objectOr(data.resolved);
  const people = objectOr(raw.users);
  const out: Json = {};
  for (const kind of Object.keys(raw)) {
    const byId: Json = {};
    for (const [id, value] of Object.entries(objectOr(raw[kind]))) {
      if (kind === "users") byId[id] = user(objectOr(value));
      else if (kind === "members") byId[id] = member(value, isObject(people[id]) ? user(people[id]) : null);
      else if (kind === "messages") byId[id] = message(objectOr(value));
      else byId[id] = camel(value);
    }
    out[kind] = byId;
  }
  return out;
}
