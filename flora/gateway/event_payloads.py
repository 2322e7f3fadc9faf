"""What scripts see of the events, as `ctx.msg`.

Made from schema/payloads.json by `python -m tools.generate_events`.
"""

from __future__ import annotations

from typing import Any, Final, NotRequired, TypedDict


class EventUser(TypedDict):
    id: str
    username: str
    discriminator: float | None
    bot: bool
    globalName: str | None
    avatar: str | None
    system: NotRequired[bool]
    publicFlags: NotRequired[float]
    banner: NotRequired[str | None]
    accentColor: NotRequired[float | None]


class EventMember(TypedDict):
    user: EventUser | None
    nick: str | None
    avatar: str | None
    roles: list[str]
    joinedAt: str | None
    premiumSince: str | None
    deaf: bool
    mute: bool
    flags: float
    pending: bool
    permissions: str | None
    communicationDisabledUntil: str | None


class EventAttachment(TypedDict):
    id: str
    filename: str
    size: float
    url: str
    proxyUrl: str
    title: NotRequired[str]
    description: NotRequired[str]
    contentType: NotRequired[str]
    height: NotRequired[float | None]
    width: NotRequired[float | None]
    ephemeral: NotRequired[bool]
    durationSecs: NotRequired[float]
    waveform: NotRequired[str]
    flags: NotRequired[float]


class EventEmoji(TypedDict):
    id: str | None
    name: str | None
    animated: NotRequired[bool]


class EventMessageReference(TypedDict):
    type: NotRequired[float]
    messageId: NotRequired[str]
    channelId: NotRequired[str]
    guildId: NotRequired[str]


class EventReactionCount(TypedDict):
    """How often a message has one emoji."""

    count: float
    me: bool
    emoji: EventEmoji


class EventStickerItem(TypedDict):
    id: str
    name: str
    formatType: float


class EventMessage(TypedDict):
    id: str
    channelId: str
    guildId: str | None
    content: str
    author: EventUser
    member: EventMember | None
    timestamp: NotRequired[str]
    editedTimestamp: NotRequired[str | None]
    tts: NotRequired[bool]
    mentionEveryone: NotRequired[bool]
    mentions: NotRequired[list[EventUser]]
    mentionRoles: NotRequired[list[str]]
    attachments: NotRequired[list[EventAttachment]]
    embeds: NotRequired[list[dict[str, Any]]]
    reactions: NotRequired[list[EventReactionCount]]
    pinned: NotRequired[bool]
    webhookId: NotRequired[str]
    type: NotRequired[float]
    flags: NotRequired[float]
    messageReference: NotRequired[EventMessageReference]
    referencedMessage: NotRequired[EventMessage | None]
    components: NotRequired[list[dict[str, Any]]]
    stickerItems: NotRequired[list[EventStickerItem]]
    thread: NotRequired[EventChannel]
    poll: NotRequired[dict[str, Any]]
    position: NotRequired[float]


class EventMessageUpdate(TypedDict):
    id: str
    channelId: str
    guildId: str | None
    content: str
    author: EventUser
    member: EventMember | None
    timestamp: NotRequired[str]
    tts: NotRequired[bool]
    mentionEveryone: NotRequired[bool]
    mentions: NotRequired[list[EventUser]]
    mentionRoles: NotRequired[list[str]]
    attachments: NotRequired[list[EventAttachment]]
    embeds: NotRequired[list[dict[str, Any]]]
    reactions: NotRequired[list[EventReactionCount]]
    pinned: NotRequired[bool]
    webhookId: NotRequired[str]
    type: NotRequired[float]
    flags: NotRequired[float]
    messageReference: NotRequired[EventMessageReference]
    referencedMessage: NotRequired[EventMessage | None]
    components: NotRequired[list[dict[str, Any]]]
    stickerItems: NotRequired[list[EventStickerItem]]
    thread: NotRequired[EventChannel]
    poll: NotRequired[dict[str, Any]]
    position: NotRequired[float]
    editedTimestamp: str | None
    old: EventMessage | None
    new: EventMessage


class EventMessageDelete(TypedDict):
    id: str
    channelId: str
    guildId: str | None


class EventMessageDeleteBulk(TypedDict):
    ids: list[str]
    channelId: str
    guildId: str | None


class EventReaction(TypedDict):
    userId: str | None
    channelId: str
    messageId: str
    guildId: str | None
    emoji: EventEmoji
    burst: bool
    member: EventMember | None
    messageAuthorId: NotRequired[str]


class EventReactionRemoveAll(TypedDict):
    messageId: str
    channelId: str
    guildId: str | None


class EventReady(TypedDict):
    user: EventUser
    guildIds: list[str]


class EventInteraction(TypedDict):
    interactionId: str
    interactionToken: str
    applicationId: str
    guildId: str | None
    channelId: str | None
    user: EventUser
    member: EventMember | None
    data: dict[str, Any]
    locale: str | None
    guildLocale: str | None
    appPermissions: NotRequired[str]
    message: EventMessage | None


class EventInteractionCreate(TypedDict):
    interactionId: str
    interactionToken: str
    applicationId: str
    guildId: str | None
    channelId: str | None
    user: EventUser
    member: EventMember | None
    data: dict[str, Any]
    locale: str | None
    guildLocale: str | None
    appPermissions: NotRequired[str]
    message: EventMessage | None
    commandName: str


class EventComponentInteraction(TypedDict):
    interactionId: str
    interactionToken: str
    applicationId: str
    guildId: str | None
    channelId: str | None
    user: EventUser
    member: EventMember | None
    data: dict[str, Any]
    locale: str | None
    guildLocale: str | None
    appPermissions: NotRequired[str]
    message: EventMessage | None
    messageId: str


class EventModalSubmit(TypedDict):
    interactionId: str
    interactionToken: str
    applicationId: str
    guildId: str | None
    channelId: str | None
    user: EventUser
    member: EventMember | None
    data: dict[str, Any]
    locale: str | None
    guildLocale: str | None
    appPermissions: NotRequired[str]
    message: EventMessage | None
    messageId: str | None


class EventRole(TypedDict):
    id: str
    name: str
    color: float
    hoist: bool
    position: float
    permissions: str
    managed: bool
    mentionable: bool
    icon: NotRequired[str | None]
    unicodeEmoji: NotRequired[str | None]
    flags: NotRequired[float]


class EventPermissionOverwrite(TypedDict):
    """What a role or member may do in a channel."""

    id: str
    type: float
    allow: str
    deny: str


class EventThreadMetadata(TypedDict):
    archived: bool
    autoArchiveDuration: float
    archiveTimestamp: str
    locked: bool


class EventChannel(TypedDict):
    id: str
    type: float
    guildId: NotRequired[str]
    name: NotRequired[str | None]
    parentId: NotRequired[str | None]
    position: NotRequired[float]
    topic: NotRequired[str | None]
    nsfw: NotRequired[bool]
    ownerId: NotRequired[str]
    rateLimitPerUser: NotRequired[float]
    permissionOverwrites: NotRequired[list[EventPermissionOverwrite]]
    threadMetadata: NotRequired[EventThreadMetadata]
    appliedTags: NotRequired[list[str]]
    flags: NotRequired[float]


class EventGuildMember(TypedDict):
    user: EventUser | None
    nick: str | None
    avatar: str | None
    roles: list[str]
    joinedAt: str | None
    premiumSince: str | None
    flags: float
    pending: bool
    permissions: str | None
    communicationDisabledUntil: str | None
    guildId: str
    deaf: bool | None
    mute: bool | None


class EventThreadCreate(TypedDict):
    id: str
    type: float
    guildId: NotRequired[str]
    name: NotRequired[str | None]
    parentId: NotRequired[str | None]
    position: NotRequired[float]
    topic: NotRequired[str | None]
    nsfw: NotRequired[bool]
    ownerId: NotRequired[str]
    rateLimitPerUser: NotRequired[float]
    permissionOverwrites: NotRequired[list[EventPermissionOverwrite]]
    threadMetadata: NotRequired[EventThreadMetadata]
    appliedTags: NotRequired[list[str]]
    flags: NotRequired[float]
    newlyCreated: NotRequired[bool]


class EventGuildUser(TypedDict):
    """Somebody who left, or was banned or pardoned."""

    guildId: str
    user: EventUser


class EventGuildRole(TypedDict):
    guildId: str
    role: EventRole


class EventGuildRoleDelete(TypedDict):
    guildId: str
    roleId: str


class EventChannelPinsUpdate(TypedDict):
    guildId: NotRequired[str]
    channelId: str
    lastPinTimestamp: NotRequired[str | None]


class EventWebhooksUpdate(TypedDict):
    guildId: str
    channelId: str


class EventCron(TypedDict):
    """A run of a job of `cron`; made by flora."""

    name: str
    scheduledAt: str
    guildId: str
    channelId: str | None


class EventTask(TypedDict):
    """A task of `tasks` that is due; made by flora."""

    key: str
    data: Any
    channelId: str | None
    scheduledAt: str
    attempt: float
    trigger: str


class EventOther(TypedDict):
    """An event of which Discord's fields are passed on with camelCase names."""

    guildId: NotRequired[str]


class EventPollVote(TypedDict):
    """A vote on a poll, given or taken back."""

    guildId: NotRequired[str]
    userId: str
    channelId: str
    messageId: str
    answerId: float


class EventTyping(TypedDict):
    """Somebody began to type."""

    guildId: NotRequired[str]
    channelId: str
    userId: str
    timestamp: float
    member: NotRequired[EventMember]


class EventVoiceState(TypedDict):
    """Where somebody is in voice."""

    guildId: NotRequired[str]
    channelId: str | None
    userId: str
    member: NotRequired[EventMember]
    sessionId: str
    deaf: bool
    mute: bool
    selfDeaf: bool
    selfMute: bool
    selfStream: NotRequired[bool]
    selfVideo: bool
    suppress: bool


class EventInviteCreate(TypedDict):
    """An invite was made."""

    guildId: NotRequired[str]
    channelId: str
    code: str
    createdAt: str
    inviter: NotRequired[EventUser]
    maxAge: float
    maxUses: float
    uses: float
    temporary: bool


class EventInviteDelete(TypedDict):
    """An invite is gone."""

    guildId: NotRequired[str]
    channelId: str
    code: str


class EventAuditLogEntry(TypedDict):
    """Something that somebody with power did."""

    guildId: NotRequired[str]
    id: str
    actionType: float
    userId: str | None
    targetId: str | None
    reason: NotRequired[str]
    changes: NotRequired[list[dict[str, Any]]]
    options: NotRequired[dict[str, Any]]


class EventScheduledEventUser(TypedDict):
    """Somebody is interested in a scheduled event, or no longer."""

    guildId: NotRequired[str]
    guildScheduledEventId: str
    userId: str


class EventAutoModeration(TypedDict):
    """A rule of automod was triggered."""

    guildId: NotRequired[str]
    action: dict[str, Any]
    ruleId: str
    ruleTriggerType: float
    userId: str
    content: str
    channelId: NotRequired[str]
    messageId: NotRequired[str]
    matchedKeyword: str | None
    matchedContent: str | None


PAYLOADS: Final[dict[str, Any]] = {
    "ready": EventReady,
    "messageCreate": EventMessage,
    "messageUpdate": EventMessageUpdate,
    "messageDelete": EventMessageDelete,
    "messageDeleteBulk": EventMessageDeleteBulk,
    "reactionAdd": EventReaction,
    "reactionRemove": EventReaction,
    "reactionRemoveEmoji": EventReaction,
    "reactionRemoveAll": EventReactionRemoveAll,
    "messagePollVoteAdd": EventPollVote,
    "messagePollVoteRemove": EventPollVote,
    "interactionCreate": EventInteractionCreate,
    "componentInteraction": EventComponentInteraction,
    "modalSubmit": EventModalSubmit,
    "autocomplete": EventInteractionCreate,
    "task": EventTask,
    "guildMemberAdd": EventGuildMember,
    "guildMemberUpdate": EventGuildMember,
    "guildMemberRemove": EventGuildUser,
    "guildBanAdd": EventGuildUser,
    "guildBanRemove": EventGuildUser,
    "guildRoleCreate": EventGuildRole,
    "guildRoleUpdate": EventGuildRole,
    "guildRoleDelete": EventGuildRoleDelete,
    "channelCreate": EventChannel,
    "channelUpdate": EventChannel,
    "channelDelete": EventChannel,
    "channelPinsUpdate": EventChannelPinsUpdate,
    "threadCreate": EventThreadCreate,
    "threadUpdate": EventChannel,
    "threadDelete": EventChannel,
    "threadListSync": EventOther,
    "threadMemberUpdate": EventOther,
    "threadMembersUpdate": EventOther,
    "stageInstanceCreate": EventOther,
    "stageInstanceUpdate": EventOther,
    "stageInstanceDelete": EventOther,
    "guildCreate": EventOther,
    "guildUpdate": EventOther,
    "guildDelete": EventOther,
    "guildAuditLogEntryCreate": EventAuditLogEntry,
    "guildEmojisUpdate": EventOther,
    "guildStickersUpdate": EventOther,
    "guildSoundboardSoundCreate": EventOther,
    "guildSoundboardSoundUpdate": EventOther,
    "guildSoundboardSoundDelete": EventOther,
    "guildSoundboardSoundsUpdate": EventOther,
    "guildIntegrationsUpdate": EventOther,
    "guildScheduledEventCreate": EventOther,
    "guildScheduledEventUpdate": EventOther,
    "guildScheduledEventDelete": EventOther,
    "guildScheduledEventUserAdd": EventScheduledEventUser,
    "guildScheduledEventUserRemove": EventScheduledEventUser,
    "integrationCreate": EventOther,
    "integrationUpdate": EventOther,
    "integrationDelete": EventOther,
    "inviteCreate": EventInviteCreate,
    "inviteDelete": EventInviteDelete,
    "webhooksUpdate": EventWebhooksUpdate,
    "applicationCommandPermissionsUpdate": EventOther,
    "autoModerationRuleCreate": EventOther,
    "autoModerationRuleUpdate": EventOther,
    "autoModerationRuleDelete": EventOther,
    "autoModerationActionExecution": EventAutoModeration,
    "presenceUpdate": EventOther,
    "typingStart": EventTyping,
    "voiceStateUpdate": EventVoiceState,
    "voiceChannelEffectSend": EventOther,
}
"""By event."""
