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

  const makeUser = (partial: Shape = {}): any =>
    merge(
      { id: id(), username: "tester", discriminator: null, bot: false, globalName: null, avatar: null },
      partial,
    );
  const makeMember = (partial: Shape = {}): any =>
    merge(
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
  const makeMessage = (partial: Shape = {}): any => {
    const author = makeUser(partial.author);
    const base = { id: id(), channelId: channelId(), guildId: kit.world.guildId, content: "", author };
    return merge({ ...base, member: makeMember({ user: author }) }, partial);
  };
  const interaction = (data: Shape, partial: Shape): any => {
    const user = makeUser(partial.user);
    return merge(
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
      },
      partial,
    );
  };
  const makeInteraction = (name: string, options: Shape = {}, partial: Shape = {}): any => {
    const data = { id: id(), name, type: 1, options: Object.entries(options).map(option) };
    return { ...interaction(data, partial), commandName: name };
  };
  const makeComponentInteraction = (customId: string, partial: Shape = {}): any =>
    interaction({ custom_id: customId, component_type: 2 }, { messageId: id(), ...partial });
  const makeModalSubmit = (customId: string, fields: Shape = {}, partial: Shape = {}): any => {
    const components = Object.entries(fields).map(([name, value]) => ({
      type: 18,
      component: { type: 4, custom_id: name, value: String(value) },
    }));
    return interaction({ custom_id: customId, components }, { messageId: null, ...partial });
  };
  const makeReaction = (partial: Shape = {}): any =>
    merge(
      {
        userId: id(),
        channelId: channelId(),
        messageId: id(),
        guildId: kit.world.guildId,
        emoji: { id: null, name: "👍" },
        burst: false,
      },
      partial,
    );
  const makeReady = (partial: Shape = {}): any => merge({ user: makeUser({ bot: true }), guildIds: [] }, partial);

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

function merge(base: Shape, partial: Shape): Shape {
  const out: Shape = { ...base };
  for (const [key, value] of Object.entries(partial)) {
    const old = out[key];
    out[key] = isPlain(old) && isPlain(value) ? merge(old, value) : value;
  }
  return out;
}

function isPlain(value: unknown): value is Shape {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
