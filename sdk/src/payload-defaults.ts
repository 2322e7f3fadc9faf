// Made from schema/payloads.json by `python -m tools.generate_events`.

import type { Json } from "./json";

/** By payload: fills in what scripts see where Discord sends nothing. */
export const filled = {
  EventUser(out: Json): Json {
    out.discriminator ??= null;
    out.bot ??= false;
    out.globalName ??= null;
    out.avatar ??= null;
    return out;
  },
  EventMember(out: Json): Json {
    out.user ??= null;
    out.nick ??= null;
    out.avatar ??= null;
    out.roles ??= [];
    out.joinedAt ??= null;
    out.premiumSince ??= null;
    out.deaf ??= false;
    out.mute ??= false;
    out.flags ??= 0;
    out.pending ??= false;
    out.permissions ??= null;
    out.communicationDisabledUntil ??= null;
    return out;
  },
  EventMessage(out: Json): Json {
    out.guildId ??= null;
    out.content ??= "";
    out.member ??= null;
    return out;
  },
  EventMessageUpdate(out: Json): Json {
    out.guildId ??= null;
    out.content ??= "";
    out.member ??= null;
    out.editedTimestamp ??= null;
    out.old ??= null;
    return out;
  },
  EventMessageDelete(out: Json): Json {
    out.guildId ??= null;
    return out;
  },
  EventMessageDeleteBulk(out: Json): Json {
    out.guildId ??= null;
    return out;
  },
  EventReaction(out: Json): Json {
    out.userId ??= null;
    out.guildId ??= null;
    out.burst ??= false;
    out.member ??= null;
    return out;
  },
  EventReactionRemoveAll(out: Json): Json {
    out.guildId ??= null;
    return out;
  },
  EventInteraction(out: Json): Json {
    out.guildId ??= null;
    out.channelId ??= null;
    out.member ??= null;
    out.locale ??= null;
    out.guildLocale ??= null;
    out.message ??= null;
    return out;
  },
  EventInteractionCreate(out: Json): Json {
    out.guildId ??= null;
    out.channelId ??= null;
    out.member ??= null;
    out.locale ??= null;
    out.guildLocale ??= null;
    out.message ??= null;
    return out;
  },
  EventComponentInteraction(out: Json): Json {
    out.guildId ??= null;
    out.channelId ??= null;
    out.member ??= null;
    out.locale ??= null;
    out.guildLocale ??= null;
    out.message ??= null;
    return out;
  },
  EventModalSubmit(out: Json): Json {
    out.guildId ??= null;
    out.channelId ??= null;
    out.member ??= null;
    out.locale ??= null;
    out.guildLocale ??= null;
    out.message ??= null;
    out.messageId ??= null;
    return out;
  },
  EventGuildMember(out: Json): Json {
    out.user ??= null;
    out.nick ??= null;
    out.avatar ??= null;
    out.roles ??= [];
    out.joinedAt ??= null;
    out.premiumSince ??= null;
    out.flags ??= 0;
    out.pending ??= false;
    out.permissions ??= null;
    out.communicationDisabledUntil ??= null;
    out.deaf ??= null;
    out.mute ??= null;
    return out;
  },
};
