import type { Kit } from "./kit";

/*
 * Payloads in the shape of `ctx.msg`, whole, with what the test cares about merged in. Ids count up from
 * 100000000000000001, so that the same test gives the same ids.
 */

type Shape = { [key: string]: any };
type Factories = Pick<
  typeof import("flora:test"),
  | "makeUser"
  | "makeMember"
  | "makeMessage"
  | "makeInteraction"
  | "makeComponentInteraction"
  | "makeModalSubmit"
  | "makeReaction"
  | "makeReady"
>;

const FIRST_ID = 100_000_000_000_000_000n;

export function forKit(kit: Kit): Factories {
  let last = FIRST_ID;
  const id = (): string => `${(last += 1n)}`;
  const channelId = (): string => kit.world.channels.general!;

  const makeUser = (partial: Shape = {}): EventUser =>
    merge<EventUser>(
      { id: id(), username: "tester", discriminator: null, bot: false, globalName: null, avatar: null },
      partial,
    );
  const makeMember = (partial: Shape = {}): EventMember =>
    merge<EventMember>(
      {
        user: makeUser(),
        nick: null,
        avatar: null,
        roles: [],
        joinedAt: "2024-01-01T00:00:00.000000+00:00",
        premiumSince: null,
        deaf: false,
        mute: false,
        flags: 0,
        pending: false,
        permissions: null,
        communicationDisabledUntil: null,
      },
      partial,
    );
  const makeMessage = (partial: Shape = {}): EventMessage => {
    const author = makeUser(partial.author);
    const base = { id: id(), channelId: channelId(), guildId: kit.world.guildId, content: "", author };
    return merge<EventMessage>({ ...base, member: makeMember({ user: author }) }, partial);
  };
  const interaction = (data: Shape, partial: Shape): EventInteraction => {
    const user = makeUser(partial.user);
    return merge<EventInteraction>(
      {
        interactionId: id(),
        interactionToken: `token-${last}`,
        applicationId: kit.world.applicationId,
        guildId: kit.world.guildId,
        channelId: channelId(),
        user,
        member: makeMember({ user, permissions: "0" }),
        data,
        locale: "en-US",
        guildLocale: "en-US",
        message: null,
      },
      partial,
    );
  };
  const makeInteraction = (name: string, options: Shape = {}, partial: Shape = {}): EventInteractionCreate => {
    const data = { id: id(), name, type: 1, options: Object.entries(options).map(option) };
    return { ...interaction(data, partial), commandName: name };
  };
  const makeComponentInteraction = (customId: string, partial: Shape = {}): EventComponentInteraction => ({
    messageId: id(),
    ...interaction({ custom_id: customId, component_type: 2 }, partial),
  });
  const makeModalSubmit = (customId: string, fields: Shape = {}, partial: Shape = {}): EventModalSubmit => {
    const components = Object.entries(fields).map(([name, value]) => ({
      type: 18,
      component: { type: 4, custom_id: name, value: String(value) },
    }));
    return { messageId: null, ...interaction({ custom_id: customId, components }, partial) };
  };
  const makeReaction = (partial: Shape = {}): EventReaction =>
    merge<EventReaction>(
      {
        userId: id(),
        channelId: channelId(),
        messageId: id(),
        guildId: kit.world.guildId,
        emoji: { id: null, name: "👍" },
        burst: false,
        member: null,
      },
      partial,
    );
  const makeReady = (partial: Shape = {}): EventReady =>
    merge<EventReady>({ user: makeUser({ bot: true }), guildIds: [] }, partial);

  return {
    makeUser,
    makeMember,
    makeMessage,
    makeInteraction,
    makeComponentInteraction,
    makeModalSubmit,
    makeReaction,
    makeReady,
  };
}

/** Types of application command options by what a value is. */
function option([name, value]: [string, unknown]): Shape {
  if (typeof value === "boolean") return { name, type: 5, value };
  if (typeof value === "number") return { name, type: Number.isInteger(value) ? 4 : 10, value };
  return { name, type: 3, value };
}

/** What a test wants instead is its own affair: `partial` may say anything. */
function merge<Payload extends object>(base: Payload, partial: Shape): Payload {
  const out: Shape = { ...base };
  for (const [key, value] of Object.entries(partial)) {
    const old = out[key];
    out[key] = isPlain(old) && isPlain(value) ? merge(old, value) : value;
  }
  return out as Payload;
}

function isPlain(value: unknown): value is Shape {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
