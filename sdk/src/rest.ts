import { discordCommands } from "./bot/commands";
import { invalid } from "./errors";
import type { Host } from "./host";
import { Object } from "./intrinsics";
import { arrayOf, isObject, type Json } from "./json";
import { snakeCase } from "./names";
import { permissionBits } from "./permissions";
import { wireChoice, wireEmoji, wireFile, wireMessage } from "./wire";

/*
 * `rest`: each method hands its argument to the op of the same name. The host checks arguments and scope, and takes
 * the script's own guild where none is named; a host that lacks an op refuses it with a typed error.
 */

const methods = [
  "sendMessage",
  "editMessage",
  "deleteMessage",
  "bulkDeleteMessages",
  "forwardMessage",
  "crosspostMessage",
  "fetchMessage",
  "fetchMessages",
  "searchMessages",
  "pinMessage",
  "unpinMessage",
  "fetchPins",
  "triggerTyping",
  "endPoll",
  "fetchPollVoters",
  "addReaction",
  "removeReaction",
  "clearReactions",
  "fetchReactions",

  "sendInteractionResponse",
  "deferInteractionResponse",
  "deferInteractionUpdate",
  "updateInteractionResponse",
  "showModal",
  "sendAutocompleteResponse",
  "fetchOriginalInteractionResponse",
  "editOriginalInteractionResponse",
  "deleteOriginalInteractionResponse",
  "createFollowupMessage",
  "fetchFollowupMessage",
  "editFollowupMessage",
  "deleteFollowupMessage",

  "upsertGuildCommands",
  "createGuildCommand",
  "editGuildCommand",
  "deleteGuildCommand",
  "getGuildCommands",
  "getGuildCommand",
  "editGuildCommandPermissions",
  "getGuildCommandsPermissions",
  "getGuildCommandPermissions",

  "fetchChannels",
  "fetchChannel",
  "createChannel",
  "editChannel",
  "deleteChannel",
  "moveChannels",
  "editChannelPermissions",
  "deleteChannelPermissions",
  "followChannel",
  "setVoiceChannelStatus",
  "sendSoundboardSound",

  "createThread",
  "createThreadFromMessage",
  "createForumPost",
  "joinThread",
  "leaveThread",
  "addThreadMember",
  "removeThreadMember",
  "fetchThreadMember",
  "fetchThreadMembers",
  "fetchActiveThreads",
  "fetchArchivedThreads",
  "fetchPrivateArchivedThreads",
  "fetchJoinedArchivedThreads",

  "fetchMember",
  "fetchMembers",
  "searchMembers",
  "editMember",
  "editCurrentMember",
  "kickMember",
  "addMemberRole",
  "removeMemberRole",
  "banMember",
  "unbanMember",
  "bulkBanMembers",
  "fetchBan",
  "fetchBans",
  "fetchPruneCount",
  "pruneMembers",
  "fetchVoiceState",
  "fetchCurrentVoiceState",
  "editVoiceState",
  "editCurrentVoiceState",
  "fetchUser",

  "fetchRoles",
  "fetchRole",
  "fetchRoleMemberCounts",
  "createRole",
  "editRole",
  "deleteRole",
  "moveRoles",

  "fetchGuild",
  "editGuild",
  "fetchGuildPreview",
  "fetchVoiceRegions",
  "fetchIntegrations",
  "deleteIntegration",
  "fetchVanityUrl",
  "fetchWelcomeScreen",
  "editWelcomeScreen",
  "fetchOnboarding",
  "editOnboarding",
  "fetchWidget",
  "editWidget",
  "editIncidentActions",
  "fetchAuditLog",
  "fetchTemplates",
  "createTemplate",
  "syncTemplate",
  "editTemplate",
  "deleteTemplate",

  "fetchInvites",
  "fetchChannelInvites",
  "createInvite",
  "fetchInvite",
  "deleteInvite",

  "fetchEmojis",
  "fetchEmoji",
  "createEmoji",
  "editEmoji",
  "deleteEmoji",
  "fetchStickers",
  "fetchSticker",
  "createSticker",
  "editSticker",
  "deleteSticker",
  "fetchSoundboardSounds",
  "fetchSoundboardSound",
  "createSoundboardSound",
  "editSoundboardSound",
  "deleteSoundboardSound",

  "fetchScheduledEvents",
  "fetchScheduledEvent",
  "createScheduledEvent",
  "editScheduledEvent",
  "deleteScheduledEvent",
  "fetchScheduledEventUsers",
  "createStage",
  "fetchStage",
  "editStage",
  "deleteStage",
  "fetchAutomodRules",
  "fetchAutomodRule",
  "createAutomodRule",
  "editAutomodRule",
  "deleteAutomodRule",

  "fetchWebhooks",
  "fetchChannelWebhooks",
  "fetchWebhook",
  "createWebhook",
  "executeWebhook",
  "editWebhook",
  "deleteWebhook",
  "fetchWebhookMessage",
  "editWebhookMessage",
  "deleteWebhookMessage",
] as const;

type Listed = (typeof methods)[number];

export function makeRest(host: Host): Rest {
  // The return type makes the list complete: a method of flora.d.ts that is not in it does not compile.
  const rest: { [N in Listed]?: (args?: unknown) => Promise<unknown> } = {};
  for (const name of methods) {
    const op = snakeCase(name);
    rest[name] = async (args = {}) => host.op(op, wire(name, args));
  }
  return Object.freeze(rest) as { readonly [N in Listed]: (args?: any) => Promise<any> };
}

function wire(name: Listed, args: unknown): Json {
  if (!isObject(args)) throw invalid(`rest.${name}`, "it takes one object, such as { channelId, content }");
  const out = wireMessage(args);
  if (args.emoji !== undefined) out.emoji = wireEmoji(args.emoji);
  if (args.file !== undefined) out.file = wireFile(args.file, "file");
  switch (name) {
    case "upsertGuildCommands":
      out.commands = discordCommands(args.commands);
      break;
    case "createGuildCommand":
    case "editGuildCommand":
      [out.command] = discordCommands([args.command]);
      break;
    case "sendAutocompleteResponse":
      out.choices = arrayOf(args.choices).map(wireChoice);
      break;
    case "editChannelPermissions":
      return { ...out, ...wireOverwrite(args) };
  }
  return out;
}

/** https://discord.com/developers/docs/resources/channel#overwrite-object */
function wireOverwrite({ type, allow, deny }: Json): Json {
  const out: Json = { type: type === "role" ? 0 : type === "member" ? 1 : type };
  if (allow !== undefined) out.allow = permissionBits(allow);
  if (deny !== undefined) out.deny = permissionBits(deny);
  return out;
}
