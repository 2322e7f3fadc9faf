import type { APIGuildMember, APIMessage, APIUser } from "discord-api-types/v10";
import { Array, Map, Object, Set } from "./intrinsics";
import { arrayOf, isObject, objectOr, stringOr, type Json } from "./json";
import { camelCase } from "./names";
import { filled } from "./payload-defaults";

/*
 * Discord's payloads in the shape that scripts see: camelCase keys, and for a documented field that is absent what
 * schema/payloads.json says (null, mostly).
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
  const out = filled.EventUser(camelObject(raw));
  out.discriminator = discriminator(raw.discriminator);
  return out;
}

/** "0" is Discord's mark of a user without one. */
function discriminator(value: unknown): number | null {
  const number = typeof value === "string" ? +value : value;
  return typeof number === "number" && number > 0 ? number : null;
}

const shapedByMember = new Set(["user", "roles"]);

function memberWith(raw: Fields<APIGuildMember> & Json, owner: Json | null): Json {
  const out = camelObject(raw, shapedByMember);
  out.user = isObject(raw.user) ? user(raw.user) : owner;
  out.roles = arrayOf(raw.roles);
  return out;
}

export function member(value: unknown, owner: Json | null = null): Json | null {
  return isObject(value) ? filled.EventMember(memberWith(value, owner)) : null;
}

const shapedByMessage = new Set(["author", "member"]);

export function message(raw: Fields<APIMessage> & Json): Json {
  const author = isObject(raw.author) ? user(raw.author) : null;
  const out = camelObject(raw, shapedByMessage);
  out.content = stringOr(raw.content, "");
  out.author = author;
  out.member = member(raw.member, author);
  return filled.EventMessage(out);
}

function messageUpdate(raw: Json): Json {
  const updated = message(raw);
  return filled.EventMessageUpdate({ ...updated, old: null, new: updated });
}

const shapedByReaction = new Set(["member", "emoji"]);

function reaction(raw: Json): Json {
  const who = isObject(raw.member) && isObject(raw.member.user) ? user(raw.member.user) : null;
  const out = camelObject(raw, shapedByReaction);
  out.member = member(raw.member, who);
  out.emoji = camel(raw.emoji) ?? null;
  return filled.EventReaction(out);
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
  out.interactionId = raw.id;
  out.interactionToken = raw.token;
  out.user = invoker;
  out.member = member(raw.member, invoker);
  out.data = raw.data;
  out.message = source;
  return out;
}

function applicationCommand(raw: Json): Json {
  const out = interaction(raw);
  out.commandName = objectOr(raw.data).name;
  return filled.EventInteractionCreate(out);
}

function component(raw: Json): Json {
  const out = interaction(raw);
  out.messageId = objectOr(raw.message).id;
  return filled.EventComponentInteraction(out);
}

function modalSubmit(raw: Json): Json {
  const out = interaction(raw);
  out.messageId = objectOr(raw.message).id;
  return filled.EventModalSubmit(out);
}

function guildMember(raw: Json): Json {
  return filled.EventGuildMember(memberWith(raw, null));
}

const shapes: { readonly [event: string]: (raw: Json) => Json } = {
  // The other guilds of the bot are none of a script's business.
  ready: (raw) => ({ user: isObject(raw.user) ? user(raw.user) : null, guildIds: [] }),
  messageCreate: message,
  messageUpdate,
  messageDelete: (raw) => filled.EventMessageDelete(camelObject(raw)),
  messageDeleteBulk: (raw) => filled.EventMessageDeleteBulk(camelObject(raw)),
  reactionAdd: reaction,
  reactionRemove: reaction,
  reactionRemoveEmoji: reaction,
  reactionRemoveAll: (raw) => filled.EventReactionRemoveAll(camelObject(raw)),
  interactionCreate: applicationCommand,
  autocomplete: applicationCommand,
  componentInteraction: component,
  modalSubmit,
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
