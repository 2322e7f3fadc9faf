import type { Host } from "./host";
import { Object } from "./intrinsics";
import { arrayOf, isObject, type Json } from "./json";
import { member } from "./payloads";
import { hasPermission } from "./permissions";

/** `guild`: the script's own guild, as the host knows it from the gateway; asks Discord for other members only. */
export function makeGuild(host: Host): typeof guild {
  const list = async (op: string): Promise<readonly unknown[]> => arrayOf(await host.op(op, {}));
  const byId = async (op: string, id: unknown): Promise<unknown> =>
    (await list(op)).find((each) => isObject(each) && each.id === id) ?? null;
  const permissions = (of: unknown): Promise<unknown> => host.op("guild_permissions", isObject(of) ? of : {});
  const accessor = {
    info: () => host.op("guild_info", {}),
    channels: () => list("guild_channels"),
    threads: () => list("guild_threads"),
    async channel(channelId: unknown): Promise<unknown> {
      return (await byId("guild_channels", channelId)) ?? (await byId("guild_threads", channelId));
    },
    roles: () => list("guild_roles"),
    role: (roleId: unknown) => byId("guild_roles", roleId),
    me: () => host.op("guild_me", {}),
    async member(userId: unknown): Promise<unknown> {
      return member(await host.op("fetch_member", { userId }));
    },
    permissions,
    async can(wanted: unknown, of?: Json): Promise<boolean> {
      return hasPermission(await permissions(of), wanted);
    },
  };
  // The guild is known after the fork only.
  Object.defineProperty(accessor, "id", { get: () => host.guildId, enumerable: true });
  return Object.freeze(accessor) as unknown as typeof guild;
}
