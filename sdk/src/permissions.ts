import { Array, BigInt, Object, String } from "./intrinsics";
import { invalid } from "./errors";
import { isObject, objectOr } from "./json";

/** https://discord.com/developers/docs/topics/permissions#permissions-bitwise-permission-flags */
export const PermissionFlags = Object.freeze({
  CreateInstantInvite: 1n << 0n,
  KickMembers: 1n << 1n,
  BanMembers: 1n << 2n,
  Administrator: 1n << 3n,
  ManageChannels: 1n << 4n,
  ManageGuild: 1n << 5n,
  AddReactions: 1n << 6n,
  ViewAuditLog: 1n << 7n,
  PrioritySpeaker: 1n << 8n,
  Stream: 1n << 9n,
  ViewChannel: 1n << 10n,
  SendMessages: 1n << 11n,
  SendTTSMessages: 1n << 12n,
  ManageMessages: 1n << 13n,
  EmbedLinks: 1n << 14n,
  AttachFiles: 1n << 15n,
  ReadMessageHistory: 1n << 16n,
  MentionEveryone: 1n << 17n,
  UseExternalEmojis: 1n << 18n,
  ViewGuildInsights: 1n << 19n,
  Connect: 1n << 20n,
  Speak: 1n << 21n,
  MuteMembers: 1n << 22n,
  DeafenMembers: 1n << 23n,
  MoveMembers: 1n << 24n,
  UseVAD: 1n << 25n,
  ChangeNickname: 1n << 26n,
  ManageNicknames: 1n << 27n,
  ManageRoles: 1n << 28n,
  ManageWebhooks: 1n << 29n,
  ManageGuildExpressions: 1n << 30n,
  UseApplicationCommands: 1n << 31n,
  RequestToSpeak: 1n << 32n,
  ManageEvents: 1n << 33n,
  ManageThreads: 1n << 34n,
  CreatePublicThreads: 1n << 35n,
  CreatePrivateThreads: 1n << 36n,
  UseExternalStickers: 1n << 37n,
  SendMessagesInThreads: 1n << 38n,
  UseEmbeddedActivities: 1n << 39n,
  ModerateMembers: 1n << 40n,
  ViewCreatorMonetizationAnalytics: 1n << 41n,
  UseSoundboard: 1n << 42n,
  CreateGuildExpressions: 1n << 43n,
  CreateEvents: 1n << 44n,
  UseExternalSounds: 1n << 45n,
  SendVoiceMessages: 1n << 46n,
  SendPolls: 1n << 49n,
  UseExternalApps: 1n << 50n,
  PinMessages: 1n << 51n,
  BypassSlowmode: 1n << 52n,
} as const);

const flags: { readonly [name: string]: bigint } = PermissionFlags;

/** The bit string that Discord uses: names, bits, bit strings, or a list of them. */
export function permissionBits(value: unknown): string {
  return String(toBits(value));
}

function toBits(value: unknown): bigint {
  if (Array.isArray(value)) return value.reduce((bits: bigint, each) => bits | toBits(each), 0n);
  if (typeof value === "bigint" && value >= 0n) return value;
  if (typeof value === "string") {
    if (Object.hasOwn(flags, value)) return flags[value] ?? 0n;
    if (/^\d+$/.test(value)) return BigInt(value);
  }
  throw invalid("permissions", `"${String(value)}" is no permission; see PermissionFlags for the names`);
}

/**
 * Whether a context's member (or a bit string) has all of `wanted`; administrators have every permission.
 * False where Discord sends no permissions, as with messages.
 */
export function hasPermission(subject: unknown, ...wanted: unknown[]): boolean {
  const held = isObject(subject) ? objectOr(objectOr(subject.msg).member).permissions : subject;
  if (held === null || held === undefined) return false;
  const bits = toBits(held);
  const needed = toBits(wanted);
  return (bits & PermissionFlags.Administrator) !== 0n || (bits & needed) === needed;
}
