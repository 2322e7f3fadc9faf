/**
 * flora: the globals that a guild's script sees. Nothing has to be imported.
 *
 * A first bot, whole:
 *
 * ```ts
 * createBot({
 *   prefixCommands: [prefix({ name: "ping", run: (ctx) => ctx.reply("pong") })],
 *   slashCommands: [
 *     slash({
 *       name: "hello",
 *       description: "Says hello",
 *       options: [{ name: "name", description: "Who to greet" }],
 *       run: (ctx) => ctx.reply({ content: `Hello, ${ctx.options.name ?? "world"}!`, ephemeral: true }),
 *     }),
 *   ],
 * });
 * ```
 *
 * Ids are strings. Fields that Discord did not send are `null` where they are declared so. Whatever Discord
 * sends beyond what is declared here is on `ctx.raw`.
 */

// ---------------------------------------------------------------------------------------------- JSON

type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue | undefined };

/** JSON as Discord sends it, with Discord's own names (`channel_id`). */
interface RawJson {
  // Discord's objects grow without notice; the names here are not checked.
  [key: string]: any;
}

/** What a handler may return: nothing that matters, or a promise of it, which is awaited. */
type Awaitable = unknown;

// ------------------------------------------------------------------------------------------- payloads
// Made from schema/payloads.json by `python -m tools.generate_events`.

interface EventUser {
  id: string;
  username: string;
  /** The old four digits; null for the many users that have none. */
  discriminator: number | null;
  bot: boolean;
  /** The display name, null when the user has none. */
  globalName: string | null;
  /** Hash of the avatar. */
  avatar: string | null;
  system?: boolean;
  publicFlags?: number;
  banner?: string | null;
  accentColor?: number | null;
}

interface EventMember {
  user: EventUser | null;
  /** The nickname in this guild. */
  nick: string | null;
  /** Hash of the avatar for this guild. */
  avatar: string | null;
  /** Ids of the member's roles. */
  roles: string[];
  /** ISO 8601. */
  joinedAt: string | null;
  /** Since when the member boosts; ISO 8601. */
  premiumSince: string | null;
  deaf: boolean;
  mute: boolean;
  flags: number;
  /** Whether the member has yet to pass the membership screening. */
  pending: boolean;
  /** A bit string, in interactions only; see {@link hasPermission}. */
  permissions: string | null;
  /** End of a timeout; ISO 8601. */
  communicationDisabledUntil: string | null;
}

interface EventAttachment {
  id: string;
  filename: string;
  /** In bytes. */
  size: number;
  url: string;
  proxyUrl: string;
  title?: string;
  description?: string;
  contentType?: string;
  height?: number | null;
  width?: number | null;
  ephemeral?: boolean;
  /** Of a voice message, in seconds. */
  durationSecs?: number;
  waveform?: string;
  flags?: number;
}

interface EventEmoji {
  /** null for an emoji of Unicode, whose character is the name. */
  id: string | null;
  name: string | null;
  animated?: boolean;
}

interface EventMessageReference {
  /** 0 is a reply, 1 a forward. */
  type?: number;
  messageId?: string;
  channelId?: string;
  guildId?: string;
}

/** How often a message has one emoji. */
interface EventReactionCount {
  count: number;
  /** Whether the bot is among them. */
  me: boolean;
  emoji: EventEmoji;
}

interface EventStickerItem {
  id: string;
  name: string;
  /** 1 is PNG, 2 APNG, 3 Lottie, 4 GIF. */
  formatType: number;
}

interface EventMessage {
  id: string;
  channelId: string;
  guildId: string | null;
  content: string;
  author: EventUser;
  /** null for webhooks. */
  member: EventMember | null;
  /** ISO 8601. */
  timestamp?: string;
  editedTimestamp?: string | null;
  tts?: boolean;
  mentionEveryone?: boolean;
  mentions?: EventUser[];
  mentionRoles?: string[];
  attachments?: EventAttachment[];
  embeds?: Embed[];
  reactions?: EventReactionCount[];
  pinned?: boolean;
  webhookId?: string;
  /** 0 is an ordinary message, 19 a reply. */
  type?: number;
  flags?: number;
  messageReference?: EventMessageReference;
  /** The message that this one replies to; null when it was deleted. */
  referencedMessage?: EventMessage | null;
  /** As Discord sends them, so that they can be sent again. */
  components?: ComponentJson[];
  stickerItems?: EventStickerItem[];
  /** The thread that was started from this message. */
  thread?: EventChannel;
  poll?: RawJson;
  position?: number;
}

interface EventMessageUpdate extends EventMessage {
  editedTimestamp: string | null;
  /** The message before; null when flora did not have it. */
  old: EventMessage | null;
  new: EventMessage;
}

interface EventMessageDelete {
  id: string;
  channelId: string;
  guildId: string | null;
}

interface EventMessageDeleteBulk {
  ids: string[];
  channelId: string;
  guildId: string | null;
}

interface EventReaction {
  /** null in `reactionRemoveEmoji`, which is about all users. */
  userId: string | null;
  channelId: string;
  messageId: string;
  guildId: string | null;
  emoji: EventEmoji;
  burst: boolean;
  /** In `reactionAdd` only. */
  member: EventMember | null;
  messageAuthorId?: string;
}

interface EventReactionRemoveAll {
  messageId: string;
  channelId: string;
  guildId: string | null;
}

interface EventReady {
  /** The bot itself. */
  user: EventUser;
  /** Always empty: a script knows its own guild only. */
  guildIds: string[];
}

interface EventInteraction {
  interactionId: string;
  /** Good for fifteen minutes. */
  interactionToken: string;
  applicationId: string;
  guildId: string | null;
  channelId: string | null;
  user: EventUser;
  member: EventMember | null;
  /** As Discord sends it. */
  data: RawJson;
  /** The user's language, such as `en-US`. */
  locale: string | null;
  guildLocale: string | null;
  /** What the bot may do in the channel, a bit string; see {@link hasPermission}. */
  appPermissions?: string;
  /** The message that a component sits on. */
  message: EventMessage | null;
}

interface EventInteractionCreate extends EventInteraction {
  commandName: string;
}

interface EventComponentInteraction extends EventInteraction {
  messageId: string;
}

interface EventModalSubmit extends EventInteraction {
  /** null when the modal was not opened from a component. */
  messageId: string | null;
}

interface EventRole {
  id: string;
  name: string;
  color: number;
  hoist: boolean;
  position: number;
  /** A bit string; see {@link hasPermission}. */
  permissions: string;
  managed: boolean;
  mentionable: boolean;
  icon?: string | null;
  unicodeEmoji?: string | null;
  flags?: number;
}

/** What a role or member may do in a channel. */
interface EventPermissionOverwrite {
  /** The role's or the user's. */
  id: string;
  /** 0 is a role, 1 a member. */
  type: number;
  /** A bit string; see {@link permissionBits}. */
  allow: string;
  deny: string;
}

interface EventThreadMetadata {
  archived: boolean;
  /** In minutes. */
  autoArchiveDuration: number;
  /** ISO 8601. */
  archiveTimestamp: string;
  locked: boolean;
}

interface EventChannel {
  id: string;
  type: number;
  guildId?: string;
  name?: string | null;
  parentId?: string | null;
  position?: number;
  topic?: string | null;
  nsfw?: boolean;
  ownerId?: string;
  rateLimitPerUser?: number;
  permissionOverwrites?: EventPermissionOverwrite[];
  threadMetadata?: EventThreadMetadata;
  appliedTags?: string[];
  flags?: number;
}

interface EventGuildMember extends Omit<EventMember, "deaf" | "mute"> {
  guildId: string;
  deaf: boolean | null;
  mute: boolean | null;
}

interface EventThreadCreate extends EventChannel {
  /** Not when the bot was added to a thread that was there. */
  newlyCreated?: boolean;
}

/** Somebody who left, or was banned or pardoned. */
interface EventGuildUser {
  guildId: string;
  user: EventUser;
}

interface EventGuildRole {
  guildId: string;
  role: EventRole;
}

interface EventGuildRoleDelete {
  guildId: string;
  roleId: string;
}

interface EventChannelPinsUpdate {
  guildId?: string;
  channelId: string;
  /** When the newest pinned message was pinned; ISO 8601. */
  lastPinTimestamp?: string | null;
}

interface EventWebhooksUpdate {
  guildId: string;
  channelId: string;
}

/** A run of a job of {@link cron}; made by flora. */
interface EventCron {
  /** The job's. */
  name: string;
  /** When the run was due, as ISO 8601. It may run later. */
  scheduledAt: string;
  guildId: string;
  /** Where `ctx.reply` sends to. */
  channelId: string | null;
}

/** A task of {@link tasks} that is due; made by flora. */
interface EventTask {
  key: string;
  data: any;
  channelId: string | null;
  /** When the task was wanted, as ISO 8601. */
  scheduledAt: string;
  /** Above 1 when the handler failed before. */
  attempt: number;
  trigger: RunTrigger;
}

/** An event of which Discord's fields are passed on with camelCase names. */
interface EventOther {
  guildId?: string;
  // What Discord sends, see https://discord.com/developers/docs/events/gateway-events
  [field: string]: any;
}

/** A vote on a poll, given or taken back. */
interface EventPollVote extends EventOther {
  userId: string;
  channelId: string;
  messageId: string;
  /** From 1, in the order of the answers. */
  answerId: number;
}

/** Somebody began to type. */
interface EventTyping extends EventOther {
  channelId: string;
  userId: string;
  /** Seconds since the epoch. */
  timestamp: number;
  member?: EventMember;
}

/** Where somebody is in voice. */
interface EventVoiceState extends EventOther {
  /** null when they left. */
  channelId: string | null;
  userId: string;
  member?: EventMember;
  sessionId: string;
  deaf: boolean;
  mute: boolean;
  selfDeaf: boolean;
  selfMute: boolean;
  selfStream?: boolean;
  selfVideo: boolean;
  suppress: boolean;
}

/** An invite was made. */
interface EventInviteCreate extends EventOther {
  channelId: string;
  code: string;
  /** ISO 8601. */
  createdAt: string;
  inviter?: EventUser;
  /** In seconds; 0 is for ever. */
  maxAge: number;
  /** 0 is without limit. */
  maxUses: number;
  uses: number;
  temporary: boolean;
}

/** An invite is gone. */
interface EventInviteDelete extends EventOther {
  channelId: string;
  code: string;
}

/** Something that somebody with power did. */
interface EventAuditLogEntry extends EventOther {
  id: string;
  /** Of Discord's audit log events: 20 is a kick, 22 a ban. */
  actionType: number;
  /** Who did it. */
  userId: string | null;
  targetId: string | null;
  reason?: string;
  changes?: RawJson[];
  options?: RawJson;
}

/** Somebody is interested in a scheduled event, or no longer. */
interface EventScheduledEventUser extends EventOther {
  guildScheduledEventId: string;
  userId: string;
}

/** A rule of automod was triggered. */
interface EventAutoModeration extends EventOther {
  action: RawJson;
  ruleId: string;
  ruleTriggerType: number;
  userId: string;
  content: string;
  channelId?: string;
  messageId?: string;
  matchedKeyword: string | null;
  matchedContent: string | null;
}

// ------------------------------------------------------------------------------------------- messages

interface EmbedField {
  name: string;
  value: string;
  inline?: boolean;
}

interface Embed {
  title?: string;
  description?: string;
  url?: string;
  /** `0xRRGGBB` */
  color?: number;
  /** ISO 8601. */
  timestamp?: string;
  footer?: { text: string; iconUrl?: string };
  image?: { url: string };
  thumbnail?: { url: string };
  author?: { name?: string; url?: string; iconUrl?: string };
  fields?: EmbedField[];
}

/** An embed, or the builder of one. */
type EmbedLike = Embed | { toJSON(): Embed };

/** Who is notified. Without it, everyone that the content mentions. */
interface AllowedMentions {
  parse?: ("everyone" | "users" | "roles")[];
  users?: string[];
  roles?: string[];
  /** Whether the author of the message replied to is notified. */
  repliedUser?: boolean;
}

/**
 * A file to send: its text, or its bytes.
 *
 * ```ts
 * await ctx.reply({ attachments: [{ filename: "plants.csv", text: "name,water\nfern,3" }] });
 * ```
 */
interface MessageAttachment {
  /** May be left out for a `url`, whose last part it then is. */
  filename?: string;
  text?: string;
  /** Bytes, or base64. */
  data?: Uint8Array | string;
  /** Where flora gets the file, as {@link fetch} would: a public https or http URL. */
  url?: string;
  /** For users who cannot see it. */
  description?: string;
  contentType?: string;
}

interface MessageOptions {
  content?: string;
  embeds?: EmbedLike[];
  attachments?: MessageAttachment[];
  components?: ComponentLike[];
  poll?: PollOptions;
  tts?: boolean;
  allowedMentions?: AllowedMentions;
  /** Of {@link MessageFlags}. */
  flags?: number;
}

interface MessageReplyOptions extends MessageOptions {
  /** The message to reply to in place of the event's; null sends without a reference. Not for interactions. */
  replyTo?: string | null;
  /** Only the user sees it. Interactions only. */
  ephemeral?: boolean;
}

interface MessageEditOptions {
  /** null takes the text away. */
  content?: string | null;
  embeds?: EmbedLike[];
  /** New files, and those to keep as `{ id }`; the others are removed. */
  attachments?: (MessageAttachment | { id: string; description?: string })[];
  components?: ComponentLike[];
  allowedMentions?: AllowedMentions;
  flags?: number;
}

/**
 * ```ts
 * await ctx.reply({ poll: { question: "Lunch?", answers: ["Now", { text: "Later", emoji: "🕐" }], duration: 2 } });
 * ```
 */
interface PollOptions {
  question: string;
  /** Up to ten. */
  answers: (string | { text: string; emoji?: string | PartialEmoji })[];
  /** In hours, up to 768; a day when it is left out. */
  duration?: number;
  allowMultiselect?: boolean;
}

/** A message as Discord sends it. */
interface RawMessage extends RawJson {
  id: string;
  channel_id: string;
  content: string;
}

// ------------------------------------------------------------------------------------------- contexts

/** What every handler gets. Its methods may be taken out of it: `const { reply } = ctx`. */
interface BaseContext<Payload> {
  /** The event, with camelCase names. */
  msg: Payload;
  /** The event exactly as Discord sent it. */
  raw: RawJson;
  /** The delivery of this event: `attempt` is above 1 when an earlier one did not get to its end. */
  event: { readonly id: string; readonly attempt: number };
  /**
   * Answers the event.
   *
   * To a message: a reply to it in its channel, whose message is returned. To an interaction: its response;
   * after {@link InteractionMethods.defer} it takes the place of "is thinking…", later ones are follow-ups.
   * Anything but an object is sent as text.
   */
  reply(content: string | MessageReplyOptions): Promise<RawMessage | undefined>;
  /**
   * Edits the bot's own reply where there is one, else the message that the event is about: for a component the
   * message it sits on, for a message that message itself. Changing nothing but `flags` always concerns the
   * event's message, since that is all that Discord lets a bot change of somebody else's:
   * `ctx.edit({ flags: MessageFlags.SUPPRESS_EMBEDS })`.
   */
  edit(content: string | MessageEditOptions): Promise<RawMessage | undefined>;
  /** Deletes the bot's own reply where there is one, else the message that the event is about. */
  delete(): Promise<void>;
  /** Sends another message: to an interaction as a follow-up, elsewhere into the channel without a reference. */
  followUp(content: string | MessageReplyOptions): Promise<RawMessage | undefined>;
  /** The bot's own reply, as Discord sends it. */
  fetchReply(): Promise<RawMessage>;
  /** Adds a reaction to the message that the event is about: `"🌱"`, or `"<:name:id>"` for a custom emoji. */
  react(emoji: string): Promise<void>;
}

/** What an interaction can do besides. It must be answered within three seconds, if only with `defer`. */
interface InteractionMethods {
  /**
   * Shows "is thinking…" until the first reply, for up to fifteen minutes. Without effect once answered.
   *
   * The time limit of a handler (3 s, if the operator says nothing else) goes on all the same: a handler that
   * waits longer is noted as failed, though what it does is still done. Let long work run by itself:
   *
   * ```ts
   * await ctx.defer();
   * void work().then((found) => ctx.reply(found));
   * ```
   */
  defer(options?: { ephemeral?: boolean }): Promise<void>;
  /** Opens a modal. Must be the first answer. A handler made with {@link modal} can be shown as it is. */
  showModal(modal: ModalForm): Promise<void>;
}

type MessageContext = BaseContext<EventMessage>;
type MessageUpdateContext = BaseContext<EventMessageUpdate>;
type MessageDeleteContext = BaseContext<EventMessageDelete>;
type MessageDeleteBulkContext = BaseContext<EventMessageDeleteBulk>;
type ReactionContext = BaseContext<EventReaction>;
type ReactionRemoveAllContext = BaseContext<EventReactionRemoveAll>;

/** What options, selects and context menus refer to, by id. */
interface ResolvedReferences {
  users?: { [id: string]: EventUser };
  members?: { [id: string]: EventMember };
  roles?: { [id: string]: EventRole };
  channels?: { [id: string]: EventChannel };
  messages?: { [id: string]: EventMessage };
  attachments?: { [id: string]: EventAttachment };
}

type SlashCommandOptions = { [name: string]: string | number | boolean | undefined };

/** A slash command or context menu was used. */
interface InteractionContext<Options = SlashCommandOptions>
  extends BaseContext<EventInteractionCreate>,
    InteractionMethods {
  /** The options by name; users, roles, channels and attachments are ids, see `resolved`. */
  options: Options;
  resolved: ResolvedReferences;
}

/** A button was pressed or a select was used. */
interface ComponentInteractionContext extends BaseContext<EventComponentInteraction>, InteractionMethods {
  /** What was chosen in a select; empty for buttons. */
  values: string[];
  resolved: ResolvedReferences;
  /** Acknowledges without a sign; `ctx.edit` then edits the message that the component sits on. */
  deferUpdate(): Promise<void>;
}

/** A modal was sent. */
interface ModalSubmitContext extends BaseContext<EventModalSubmit>, InteractionMethods {
  /** What was entered, by custom id: text, or a list for selects and uploads. */
  fields: { [customId: string]: any };
  resolved: ResolvedReferences;
  /** For modals that were opened from a component: acknowledges without a sign. */
  deferUpdate(): Promise<void>;
}

/** A user is typing into an option. */
interface AutocompleteContext {
  msg: EventInteractionCreate;
  raw: RawJson;
  event: { readonly id: string; readonly attempt: number };
  /** What has been entered so far. */
  options: SlashCommandOptions;
  /** The option being typed. */
  focused: { name: string; value: string | number };
  /** Suggests values; Discord shows the first 25. */
  respond(choices: readonly (string | number | CommandChoice)[]): Promise<void>;
}

/**
 * The events of a guild and what their handlers get. An event that Discord adds later can be used at once; declare
 * it to have its type:
 *
 * ```ts
 * interface FloraEventMap { guildBirthday: BaseContext<EventOther> }
 * ```
 */
interface FloraEventMap {
  ready: BaseContext<EventReady>;
  messageCreate: MessageContext;
  messageUpdate: MessageUpdateContext;
  messageDelete: MessageDeleteContext;
  messageDeleteBulk: MessageDeleteBulkContext;
  reactionAdd: ReactionContext;
  reactionRemove: ReactionContext;
  reactionRemoveEmoji: ReactionContext;
  reactionRemoveAll: ReactionRemoveAllContext;
  messagePollVoteAdd: BaseContext<EventPollVote>;
  messagePollVoteRemove: BaseContext<EventPollVote>;
  /** Slash commands and context menus. */
  interactionCreate: InteractionContext;
  componentInteraction: ComponentInteractionContext;
  modalSubmit: ModalSubmitContext;
  autocomplete: AutocompleteContext;
  /** A task of {@link tasks} is due. */
  task: TaskContext;
  guildMemberAdd: BaseContext<EventGuildMember>;
  guildMemberUpdate: BaseContext<EventGuildMember>;
  guildMemberRemove: BaseContext<EventGuildUser>;
  guildBanAdd: BaseContext<EventGuildUser>;
  guildBanRemove: BaseContext<EventGuildUser>;
  guildRoleCreate: BaseContext<EventGuildRole>;
  guildRoleUpdate: BaseContext<EventGuildRole>;
  guildRoleDelete: BaseContext<EventGuildRoleDelete>;
  channelCreate: BaseContext<EventChannel>;
  channelUpdate: BaseContext<EventChannel>;
  channelDelete: BaseContext<EventChannel>;
  channelPinsUpdate: BaseContext<EventChannelPinsUpdate>;
  threadCreate: BaseContext<EventThreadCreate>;
  threadUpdate: BaseContext<EventChannel>;
  threadDelete: BaseContext<EventChannel>;
  threadListSync: BaseContext<EventOther>;
  threadMemberUpdate: BaseContext<EventOther>;
  threadMembersUpdate: BaseContext<EventOther>;
  stageInstanceCreate: BaseContext<EventOther>;
  stageInstanceUpdate: BaseContext<EventOther>;
  stageInstanceDelete: BaseContext<EventOther>;
  guildCreate: BaseContext<EventOther>;
  guildUpdate: BaseContext<EventOther>;
  guildDelete: BaseContext<EventOther>;
  guildAuditLogEntryCreate: BaseContext<EventAuditLogEntry>;
  guildEmojisUpdate: BaseContext<EventOther>;
  guildStickersUpdate: BaseContext<EventOther>;
  guildSoundboardSoundCreate: BaseContext<EventOther>;
  guildSoundboardSoundUpdate: BaseContext<EventOther>;
  guildSoundboardSoundDelete: BaseContext<EventOther>;
  guildSoundboardSoundsUpdate: BaseContext<EventOther>;
  guildIntegrationsUpdate: BaseContext<EventOther>;
  guildScheduledEventCreate: BaseContext<EventOther>;
  guildScheduledEventUpdate: BaseContext<EventOther>;
  guildScheduledEventDelete: BaseContext<EventOther>;
  guildScheduledEventUserAdd: BaseContext<EventScheduledEventUser>;
  guildScheduledEventUserRemove: BaseContext<EventScheduledEventUser>;
  integrationCreate: BaseContext<EventOther>;
  integrationUpdate: BaseContext<EventOther>;
  integrationDelete: BaseContext<EventOther>;
  inviteCreate: BaseContext<EventInviteCreate>;
  inviteDelete: BaseContext<EventInviteDelete>;
  webhooksUpdate: BaseContext<EventWebhooksUpdate>;
  applicationCommandPermissionsUpdate: BaseContext<EventOther>;
  autoModerationRuleCreate: BaseContext<EventOther>;
  autoModerationRuleUpdate: BaseContext<EventOther>;
  autoModerationRuleDelete: BaseContext<EventOther>;
  autoModerationActionExecution: BaseContext<EventAutoModeration>;
  presenceUpdate: BaseContext<EventOther>;
  typingStart: BaseContext<EventTyping>;
  voiceStateUpdate: BaseContext<EventVoiceState>;
  voiceChannelEffectSend: BaseContext<EventOther>;
}

type FloraEventHandler<E extends keyof FloraEventMap> = (ctx: FloraEventMap[E]) => Awaitable;

/**
 * Runs `handler` for each event of this name. The handlers of an event run one after another, in the order in which
 * they were registered, each to its end; one that throws does not keep the others from running.
 *
 * ```ts
 * on("guildMemberAdd", async (ctx) => {
 *   await rest.sendMessage({ channelId: WELCOME, content: `Welcome, <@${ctx.msg.user?.id}>!` });
 * });
 * ```
 */
declare function on<E extends keyof FloraEventMap>(event: E, handler: FloraEventHandler<E>): void;

/** As {@link on}, for one event only. */
declare function once<E extends keyof FloraEventMap>(event: E, handler: FloraEventHandler<E>): void;

/** Takes a handler out again, or all handlers of an event. */
declare function off<E extends keyof FloraEventMap>(event: E, handler?: FloraEventHandler<E>): void;

// ------------------------------------------------------------------------------------------- commands

/**
 * Lets a use of a command through (true, or nothing) or refuses it: false, or the text that tells the user why.
 *
 * ```ts
 * const inHelpChannel = (ctx) => ctx.msg.channelId === HELP || "Please ask in the help channel.";
 * ```
 */
type Guard<Context> = {
  // As a method's, so that a command with options of its own is a command.
  guard(ctx: Context): boolean | string | void | Promise<boolean | string | void>;
}["guard"];

/** What stands before a command. The user is told when it refuses. */
interface Protected<Context> {
  /** Ids of roles of which the member needs one. */
  requiredRoles?: readonly string[];
  /** Run in order; the first refusal counts. */
  guards?: readonly Guard<Context>[];
  /**
   * So many seconds between two uses by a user, or more precisely: `{ seconds: 60, uses: 3, per: "channel" }`.
   * Kept in memory, so a new deployment starts afresh.
   */
  cooldown?: number | { seconds: number; uses?: number; per?: "user" | "channel" | "guild" };
}

interface ProtectedInteraction<Context> extends Protected<Context> {
  /** What the member must be allowed to do in the channel: `["ManageMessages"]`. */
  requiredPermissions?: Permissions;
}

type PrefixContext = MessageContext & {
  /** The words after the command's name. */
  args: string[];
};

/** A command typed as a message: `!ping a b`. */
interface Command extends Protected<PrefixContext> {
  /** Matched exactly. */
  name: string;
  /** Other names for it. */
  aliases?: readonly string[];
  description?: string;
  run(ctx: PrefixContext): Awaitable;
}

/** Discord's languages. */
type Locale =
  | "ar" | "bg" | "cs" | "da" | "de" | "el" | "en-GB" | "en-US" | "es-419" | "es-ES" | "fi" | "fr" | "he" | "hi" | "hr" | "hu"
  | "id" | "it" | "ja" | "ko" | "lt" | "nl" | "no" | "pl" | "pt-BR" | "ro" | "ru" | "sv-SE" | "th" | "tr" | "uk" | "vi"
  | "zh-CN" | "zh-TW";

/** Texts by language: `{ de: "hallo", "pt-BR": "olá" }`. */
type Localizations = { [locale in Locale]?: string | null };

interface CommandChoice {
  name: string;
  value: string | number;
  nameLocalizations?: Localizations;
}

type CommandOptionType =
  | "string"
  | "integer"
  | "number"
  | "boolean"
  | "user"
  | "role"
  | "channel"
  | "mentionable"
  | "attachment"
  | "subcommand"
  | "subcommand_group";

type CommandChannelType =
  | "text"
  | "voice"
  | "category"
  | "announcement"
  | "announcementThread"
  | "publicThread"
  | "privateThread"
  | "stage"
  | "forum"
  | "media";

interface SlashCommandOption {
  /** Lower case. */
  name: string;
  description: string;
  /** Text when it is left out. Discord's numbers work too. */
  type?: CommandOptionType | number;
  /** Required options come before the others. */
  required?: boolean;
  /** The only values that can be chosen, up to 25; a plain value is its own name. */
  choices?: readonly (string | number | CommandChoice)[];
  /**
   * Suggests values while the user types. Return up to 25, within three seconds.
   *
   * ```ts
   * autocomplete: (ctx) => TAGS.filter((tag) => tag.startsWith(String(ctx.focused.value))),
   * ```
   */
  autocomplete?: true | ((ctx: AutocompleteContext) => Awaitable);
  /** Of an integer or number. */
  minValue?: number;
  maxValue?: number;
  /** Of a text. */
  minLength?: number;
  maxLength?: number;
  /** Of a channel. */
  channelTypes?: readonly (CommandChannelType | number)[];
  nameLocalizations?: Localizations;
  descriptionLocalizations?: Localizations;
  options?: readonly SlashCommandOption[];
}

/** The value of one option, from its definition. */
type OptionValue<O extends SlashCommandOption> = O extends { choices: readonly (infer C)[] }
  ? C extends CommandChoice
    ? C["value"]
    : C
  : O["type"] extends "integer" | "number" | 4 | 10
    ? number
    : O["type"] extends "boolean" | 5
      ? boolean
      : string;

/** The values of all options by name, from their definitions. */
type OptionValues<O extends readonly SlashCommandOption[]> = SlashCommandOption extends O[number]
  ? SlashCommandOptions
  : {
      [D in O[number] as D["name"]]: D extends { required: true } ? OptionValue<D> : OptionValue<D> | undefined;
    };

interface SlashSubcommand extends ProtectedInteraction<InteractionContext> {
  name: string;
  description: string;
  options?: readonly SlashCommandOption[];
  nameLocalizations?: Localizations;
  descriptionLocalizations?: Localizations;
  run(ctx: InteractionContext): Awaitable;
}

interface SlashCommandGroup extends ProtectedInteraction<InteractionContext> {
  name: string;
  description: string;
  subcommands: readonly SlashSubcommand[];
  nameLocalizations?: Localizations;
  descriptionLocalizations?: Localizations;
}

interface ApplicationCommandSettings {
  /** Who sees the command by default, until a moderator changes it in the server's settings. `[]` is administrators only. */
  defaultMemberPermissions?: Permissions | null;
  /** Only in channels with an age restriction. */
  nsfw?: boolean;
  contexts?: readonly ("guild" | "botDm" | "privateChannel" | number)[];
  nameLocalizations?: Localizations;
}

interface SlashCommand<O extends readonly SlashCommandOption[] = readonly SlashCommandOption[]>
  extends ApplicationCommandSettings,
    ProtectedInteraction<InteractionContext<OptionValues<O>>> {
  /** Lower case. */
  name: string;
  description: string;
  descriptionLocalizations?: Localizations;
  options?: O;
  /** `/name subcommand`. A command with subcommands or groups has no `run` of its own. */
  subcommands?: readonly SlashSubcommand[];
  /** `/name group subcommand`. */
  groups?: readonly SlashCommandGroup[];
  run?(ctx: InteractionContext<OptionValues<O>>): Awaitable;
}

/** A command in the menu of a user. */
interface UserCommand extends ApplicationCommandSettings, ProtectedInteraction<UserCommandContext> {
  type: "user";
  /** Upper case and spaces are allowed here. */
  name: string;
  run(ctx: UserCommandContext): Awaitable;
}

/** A command in the menu of a message. */
interface MessageCommand extends ApplicationCommandSettings, ProtectedInteraction<MessageCommandContext> {
  type: "message";
  name: string;
  run(ctx: MessageCommandContext): Awaitable;
}

type UserCommandContext = InteractionContext & {
  target: { id: string; user: EventUser | null; member: EventMember | null };
};
type MessageCommandContext = InteractionContext & { target: EventMessage };

type MatchedContext = {
  customId: string;
  /** What the handler's regular expression matched; `match[1]` is its first group. */
  match: readonly string[] & { groups?: { [name: string]: string } };
};

/** A handler of buttons and selects. */
interface ComponentHandler extends ProtectedInteraction<ComponentInteractionContext & MatchedContext> {
  /** The custom id, or an expression for a family of them: `/^vote:(\d+)$/`. */
  customId: string | RegExp;
  run(ctx: ComponentInteractionContext & MatchedContext): Awaitable;
}

/** A form that can be shown. */
interface ModalForm {
  customId: string;
  title: string;
  /** Up to five labels, each with one input. */
  components: readonly ComponentLike[];
}

/** A modal, what it shows and what happens when it is sent. One that is only handled needs no title. */
interface ModalHandler extends ProtectedInteraction<ModalSubmitContext & MatchedContext> {
  customId: string | RegExp;
  title?: string;
  components?: readonly ComponentLike[];
  run?(ctx: ModalSubmitContext & MatchedContext): Awaitable;
}

interface CreateOptions {
  /** What a message must start with; `!` when it is left out. Matched exactly. */
  prefix?: string;
  prefixCommands?: readonly Command[];
  /** The same as `prefixCommands`, and wins over it. */
  commands?: readonly Command[];
  /**
   * The slash commands. flora registers them, changes and removes them with Discord as this list changes; without
   * this field and `contextMenus` it leaves the registered ones alone.
   */
  slashCommands?: readonly SlashCommand[];
  contextMenus?: readonly (UserCommand | MessageCommand)[];
  components?: readonly ComponentHandler[];
  modals?: readonly ModalHandler[];
  /** Run before those of each command, component and modal. */
  guards?: readonly Guard<BaseContext<EventMessage | EventInteraction>>[];
  /**
   * Gets what a command threw, with the context of that use. Without it the error goes to the guild's log.
   *
   * ```ts
   * onError: (error, ctx) => {
   *   console.error(error);
   *   return ctx.reply({ content: `Something went wrong (${ctx.event.id}).`, ephemeral: true });
   * },
   * ```
   */
  onError?(error: unknown, ctx: BaseContext<EventMessage | EventInteraction>): Awaitable;
}

/**
 * Makes a bot of commands and handlers. Call it once, at the top level of the script; later calls do nothing.
 * Messages of bots are not commands. Throws {@link InvalidInputError} for definitions that Discord would refuse.
 */
declare function createBot(options: CreateOptions): void;

/** Types a command: `const ping = prefix({ name: "ping", run: (ctx) => ctx.reply("pong") })`. */
declare function prefix(command: Command): Command;

/**
 * Types a slash command. The types of `ctx.options` follow from `options`:
 *
 * ```ts
 * const roll = slash({
 *   name: "roll",
 *   description: "Rolls dice",
 *   options: [{ name: "sides", description: "How many", type: "integer", required: true, minValue: 2 }],
 *   run: (ctx) => ctx.reply(`You rolled ${1 + Math.floor(Math.random() * ctx.options.sides)}`), // a number
 * });
 * ```
 */
declare function slash<const O extends readonly SlashCommandOption[]>(command: SlashCommand<O>): SlashCommand;

/** Types a handler of buttons and selects, for `createBot({ components: [...] })`. */
declare function component(handler: ComponentHandler): ComponentHandler;

/**
 * Types a modal, for `createBot({ modals: [...] })` and `ctx.showModal`:
 *
 * ```ts
 * const feedback = modal({
 *   customId: "feedback",
 *   title: "Feedback",
 *   components: [label("Your words").setComponent(inputText("words").setStyle(InputTextStyle.Paragraph))],
 *   run: (ctx) => ctx.reply({ content: `Thanks for: ${ctx.fields.words}`, ephemeral: true }),
 * });
 * createBot({
 *   slashCommands: [slash({ name: "feedback", description: "Tell us", run: (ctx) => ctx.showModal(feedback) })],
 *   modals: [feedback],
 * });
 * ```
 */
declare function modal<const H extends ModalHandler>(handler: H): H;

interface FlattenedSlashCommand {
  name: string;
  description?: string;
  options?: readonly SlashCommandOption[];
  [field: string]: unknown;
}

/**
 * Sets the guild's application commands, for scripts that do without {@link createBot}. Each call replaces the whole
 * set; flora brings Discord in line with it after the script has loaded.
 */
declare function registerSlashCommands(commands: readonly FlattenedSlashCommand[]): Promise<void>;

/** Commands with their groups and subcommands as options, as {@link registerSlashCommands} takes them. */
declare function flattenCommands(commands: readonly SlashCommand[]): FlattenedSlashCommand[];

/** Option values by name, from `msg.data.options`; those of subcommands and groups count as the command's own. */
declare function flattenInteractionOptions(options: readonly any[] | undefined): { [name: string]: any };

/** The chosen subcommand, inside its group or not. */
declare function getSubcommand(ctx: { msg: { data: RawJson } }): string | undefined;

declare function getSubcommandGroup(ctx: { msg: { data: RawJson } }): string | undefined;

/** Runs the subcommand that an interaction chose; nothing when there is none such. */
declare function handleSubcommand(ctx: InteractionContext, command: SlashCommand): Promise<void>;

/** Whether the member of an event has a role; false where the event has no member. */
declare function hasRole(ctx: { msg: object }, roleId: string): boolean;

// ---------------------------------------------------------------------------------------- permissions

type PermissionName = keyof typeof PermissionFlags;

/** A name, bits, a bit string as Discord writes it, or a list of them. */
type Permissions = PermissionName | bigint | (string & {}) | readonly (PermissionName | bigint | (string & {}))[];

/** Discord's permissions by name. */
declare const PermissionFlags: {
  readonly CreateInstantInvite: bigint;
  readonly KickMembers: bigint;
  readonly BanMembers: bigint;
  readonly Administrator: bigint;
  readonly ManageChannels: bigint;
  readonly ManageGuild: bigint;
  readonly AddReactions: bigint;
  readonly ViewAuditLog: bigint;
  readonly PrioritySpeaker: bigint;
  readonly Stream: bigint;
  readonly ViewChannel: bigint;
  readonly SendMessages: bigint;
  readonly SendTTSMessages: bigint;
  readonly ManageMessages: bigint;
  readonly EmbedLinks: bigint;
  readonly AttachFiles: bigint;
  readonly ReadMessageHistory: bigint;
  readonly MentionEveryone: bigint;
  readonly UseExternalEmojis: bigint;
  readonly ViewGuildInsights: bigint;
  readonly Connect: bigint;
  readonly Speak: bigint;
  readonly MuteMembers: bigint;
  readonly DeafenMembers: bigint;
  readonly MoveMembers: bigint;
  readonly UseVAD: bigint;
  readonly ChangeNickname: bigint;
  readonly ManageNicknames: bigint;
  readonly ManageRoles: bigint;
  readonly ManageWebhooks: bigint;
  readonly ManageGuildExpressions: bigint;
  readonly UseApplicationCommands: bigint;
  readonly RequestToSpeak: bigint;
  readonly ManageEvents: bigint;
  readonly ManageThreads: bigint;
  readonly CreatePublicThreads: bigint;
  readonly CreatePrivateThreads: bigint;
  readonly UseExternalStickers: bigint;
  readonly SendMessagesInThreads: bigint;
  readonly UseEmbeddedActivities: bigint;
  readonly ModerateMembers: bigint;
  readonly ViewCreatorMonetizationAnalytics: bigint;
  readonly UseSoundboard: bigint;
  readonly CreateGuildExpressions: bigint;
  readonly CreateEvents: bigint;
  readonly UseExternalSounds: bigint;
  readonly SendVoiceMessages: bigint;
  readonly SendPolls: bigint;
  readonly UseExternalApps: bigint;
  readonly PinMessages: bigint;
  readonly BypassSlowmode: bigint;
};

/**
 * Whether the member of an interaction, or a bit string, has all of these permissions. Administrators have every
 * one. False for messages, with which Discord sends no permissions.
 *
 * ```ts
 * if (!hasPermission(ctx, "ManageMessages", "ManageThreads")) return ctx.reply("No.");
 * ```
 */
declare function hasPermission(
  subject: { msg: object } | string | bigint | null | undefined,
  ...wanted: Permissions[]
): boolean;

/** The bit string of permissions: `permissionBits(["KickMembers", "BanMembers"])` is `"6"`. */
declare function permissionBits(permissions: Permissions): string;

// ------------------------------------------------------------------------------------------- builders

/** A component as Discord takes it. */
interface ComponentJson {
  type: number;
  [key: string]: any;
}

interface ComponentBuilder {
  toJSON(): ComponentJson;
}

/** A component, or the builder of one. */
type ComponentLike = ComponentJson | ComponentBuilder;

/**
 * Builds an embed. Each method checks Discord's limits and returns the builder:
 *
 * ```ts
 * await ctx.reply({ embeds: [embed().setTitle("Garden").setColor(0x44aa66).addField("Plants", "12", true)] });
 * ```
 */
declare class EmbedBuilder {
  constructor(initial?: Embed);
  /** Up to 256 characters. */
  setTitle(title: string): this;
  /** Up to 4096 characters. */
  setDescription(description: string): this;
  setUrl(url: string): this;
  /** `0xRRGGBB` */
  setColor(color: number): this;
  /** ISO 8601, such as `new Date().toISOString()`. */
  setTimestamp(timestamp: string): this;
  setFooter(text: string, iconUrl?: string): this;
  setImage(url: string): this;
  setThumbnail(url: string): this;
  setAuthor(name?: string, options?: { url?: string; iconUrl?: string }): this;
  addField(name: string, value: string, inline?: boolean): this;
  addFields(fields: readonly EmbedField[]): this;
  /** Up to 25. */
  setFields(fields: readonly EmbedField[]): this;
  toJSON(): Embed;
}
declare function embed(initial?: Embed): EmbedBuilder;

/** A row of up to five buttons, or one select. */
declare class ActionRowBuilder {
  readonly data: ComponentJson;
  addComponents(...components: (ComponentLike | readonly ComponentLike[])[]): this;
  setComponents(components: readonly ComponentLike[]): this;
  toJSON(): ComponentJson;
}
declare const actionRow: () => ActionRowBuilder;

interface PartialEmoji {
  id?: string | null;
  name?: string | null;
  animated?: boolean;
}

/** `button().setCustomId("yes").setLabel("Yes").setStyle(ButtonStyle.Success)` */
declare class ButtonBuilder {
  readonly data: ComponentJson;
  /** Of {@link ButtonStyle}; `Secondary` without it. */
  setStyle(style: number): this;
  /** Up to 100 characters; comes back in `componentInteraction`. */
  setCustomId(customId: string): this;
  /** Makes it a link, which tells the bot nothing. */
  setUrl(url: string): this;
  /** Makes it a button that sells something. */
  setSkuId(skuId: string): this;
  /** Up to 80 characters. */
  setLabel(label: string): this;
  /** A character, `"<:name:id>"`, or Discord's object. */
  setEmoji(emoji: string | PartialEmoji): this;
  setDisabled(disabled?: boolean): this;
  toJSON(): ComponentJson;
}
declare const button: () => ButtonBuilder;

interface SelectDefaultValue {
  id: string;
  type: "user" | "role" | "channel";
}

interface SelectOption {
  label: string;
  value: string;
  description?: string;
  emoji?: PartialEmoji;
  default?: boolean;
}

declare abstract class SelectMenuBuilderBase {
  protected constructor(type: number, customId: string);
  readonly data: ComponentJson;
  setCustomId(customId: string): this;
  setPlaceholder(placeholder: string): this;
  setMinValues(min: number): this;
  setMaxValues(max: number): this;
  /** In modals only. */
  setRequired(required?: boolean): this;
  setDisabled(disabled?: boolean): this;
  setChannelTypes(types: readonly number[]): this;
  setDefaultValues(values: readonly SelectDefaultValue[]): this;
  setDefaultUsers(ids: readonly string[]): this;
  setDefaultRoles(ids: readonly string[]): this;
  setDefaultChannels(ids: readonly string[]): this;
  addDefaultUser(id: string): this;
  addDefaultRole(id: string): this;
  addDefaultChannel(id: string): this;
  addDefaultValue(id: string, type: SelectDefaultValue["type"]): this;
  toJSON(): ComponentJson;
}

declare class StringSelectMenuBuilder extends SelectMenuBuilderBase {
  constructor(customId: string);
  /** Up to 25. */
  setOptions(options: readonly SelectOption[]): this;
  addOptions(...options: (SelectOption | readonly SelectOption[])[]): this;
}
declare class UserSelectMenuBuilder extends SelectMenuBuilderBase {
  constructor(customId: string);
}
declare class RoleSelectMenuBuilder extends SelectMenuBuilderBase {
  constructor(customId: string);
}
declare class MentionableSelectMenuBuilder extends SelectMenuBuilderBase {
  constructor(customId: string);
}
declare class ChannelSelectMenuBuilder extends SelectMenuBuilderBase {
  constructor(customId: string);
}
/** `stringSelect("colour").addOptions({ label: "Red", value: "red" }, { label: "Blue", value: "blue" })` */
declare const stringSelect: (customId: string) => StringSelectMenuBuilder;
declare const userSelect: (customId: string) => UserSelectMenuBuilder;
declare const roleSelect: (customId: string) => RoleSelectMenuBuilder;
declare const mentionableSelect: (customId: string) => MentionableSelectMenuBuilder;
declare const channelSelect: (customId: string) => ChannelSelectMenuBuilder;

/** A text field of a modal; goes into a {@link label}. */
declare class InputTextBuilder {
  constructor(customId: string);
  readonly data: ComponentJson;
  setCustomId(customId: string): this;
  /** Of {@link InputTextStyle}; `Short` without it. */
  setStyle(style: number): this;
  setMinLength(min: number): this;
  setMaxLength(max: number): this;
  setRequired(required?: boolean): this;
  setValue(value: string): this;
  setPlaceholder(placeholder: string): this;
  toJSON(): ComponentJson;
}
declare const inputText: (customId: string) => InputTextBuilder;

/** Files that a user adds to a modal; goes into a {@link label}. */
declare class FileUploadBuilder {
  constructor(customId: string);
  readonly data: ComponentJson;
  setCustomId(customId: string): this;
  setMinValues(min: number): this;
  setMaxValues(max: number): this;
  setRequired(required?: boolean): this;
  toJSON(): ComponentJson;
}
declare const fileUpload: (customId: string) => FileUploadBuilder;

/** Text as a component. Messages with it have no content, embeds or poll; flora sets `MessageFlags.IS_COMPONENTS_V2`. */
declare class TextDisplayBuilder {
  constructor(content: string);
  readonly data: ComponentJson;
  setContent(content: string): this;
  toJSON(): ComponentJson;
}
declare const textDisplay: (content: string) => TextDisplayBuilder;

/** A small picture beside a {@link section}. */
declare class ThumbnailBuilder {
  constructor(url: string);
  readonly data: ComponentJson;
  setUrl(url: string): this;
  setDescription(description: string): this;
  setSpoiler(spoiler?: boolean): this;
  toJSON(): ComponentJson;
}
declare const thumbnail: (url: string) => ThumbnailBuilder;

/** One to three texts with a button or picture beside them. */
declare class SectionBuilder {
  readonly data: ComponentJson;
  addComponents(...components: (ComponentLike | readonly ComponentLike[])[]): this;
  setComponents(components: readonly ComponentLike[]): this;
  setAccessory(accessory: ComponentLike): this;
  toJSON(): ComponentJson;
}
declare const section: () => SectionBuilder;

interface MediaItem {
  media: { url: string };
  description?: string;
  spoiler?: boolean;
}

/** One to ten pictures. */
declare class MediaGalleryBuilder {
  readonly data: ComponentJson;
  addItem(url: string, options?: { description?: string; spoiler?: boolean }): this;
  setItems(items: readonly MediaItem[]): this;
  toJSON(): ComponentJson;
}
declare const mediaGallery: () => MediaGalleryBuilder;

/** An attachment shown in the message: `file("attachment://report.txt")`. */
declare class FileBuilder {
  constructor(url: string);
  readonly data: ComponentJson;
  setUrl(url: string): this;
  setSpoiler(spoiler?: boolean): this;
  toJSON(): ComponentJson;
}
declare const file: (url: string) => FileBuilder;

declare class SeparatorBuilder {
  constructor(divider?: boolean);
  readonly data: ComponentJson;
  setDivider(divider?: boolean): this;
  setSpacing(spacing: 1 | 2 | "small" | "large"): this;
  toJSON(): ComponentJson;
}
declare const separator: (divider?: boolean) => SeparatorBuilder;

/** A frame around components, with a colour at its side. */
declare class ContainerBuilder {
  readonly data: ComponentJson;
  addComponents(...components: (ComponentLike | readonly ComponentLike[])[]): this;
  setComponents(components: readonly ComponentLike[]): this;
  /** `0xRRGGBB` */
  setAccentColor(color: number): this;
  setSpoiler(spoiler?: boolean): this;
  toJSON(): ComponentJson;
}
declare const container: () => ContainerBuilder;

/** Name and explanation of one input of a modal. */
declare class LabelBuilder {
  constructor(label: string);
  readonly data: ComponentJson;
  setLabel(label: string): this;
  setDescription(description: string): this;
  setComponent(component: ComponentLike): this;
  toJSON(): ComponentJson;
}
declare const label: (labelText: string) => LabelBuilder;

// ------------------------------------------------------------------------------------------ constants

declare const ComponentType: {
  readonly ActionRow: 1;
  readonly Button: 2;
  readonly StringSelect: 3;
  readonly InputText: 4;
  readonly UserSelect: 5;
  readonly RoleSelect: 6;
  readonly MentionableSelect: 7;
  readonly ChannelSelect: 8;
  readonly Section: 9;
  readonly TextDisplay: 10;
  readonly Thumbnail: 11;
  readonly MediaGallery: 12;
  readonly File: 13;
  readonly Separator: 14;
  readonly Container: 17;
  readonly Label: 18;
  readonly FileUpload: 19;
};
declare const ButtonStyles: {
  readonly Primary: 1;
  readonly Secondary: 2;
  readonly Success: 3;
  readonly Danger: 4;
};
declare const ButtonStyle: typeof ButtonStyles;
declare const InputTextStyles: { readonly Short: 1; readonly Paragraph: 2 };
declare const InputTextStyle: typeof InputTextStyles;
declare const MessageFlags: {
  readonly CROSSPOSTED: 1;
  readonly IS_CROSSPOST: 2;
  readonly SUPPRESS_EMBEDS: 4;
  readonly SOURCE_MESSAGE_DELETED: 8;
  readonly URGENT: 16;
  readonly HAS_THREAD: 32;
  readonly EPHEMERAL: 64;
  readonly LOADING: 128;
  readonly FAILED_TO_MENTION_SOME_ROLES_IN_THREAD: 256;
  readonly SUPPRESS_NOTIFICATIONS: 4096;
  readonly IS_VOICE_MESSAGE: 8192;
  readonly IS_COMPONENTS_V2: 32768;
};

// ------------------------------------------------------------------------------------------------ rest

interface InChannel {
  channelId: string;
}
interface OnMessage extends InChannel {
  messageId: string;
}
interface InThread {
  threadId: string;
}
interface InGuild {
  /** The script's own guild, which is taken when it is left out. */
  guildId?: string;
}
interface OnMember extends InGuild {
  userId: string;
}
interface OnRole extends InGuild {
  roleId: string;
}
interface WithReason {
  /** For the audit log, up to 512 characters. */
  reason?: string;
}
interface WithPayload extends WithReason {
  /** Discord's own JSON, with its names (`rate_limit_per_user`). */
  payload: RawJson;
}
/** Part of a list: how many, and those before or after an id. */
interface Page {
  limit?: number;
  before?: string;
  after?: string;
}
interface ByToken {
  /** `ctx.msg.interactionToken` */
  token: string;
}
interface OnInteraction extends ByToken {
  /** `ctx.msg.interactionId` */
  interactionId: string;
}
interface OnCommand extends InGuild {
  commandId: string;
}
interface OnWebhook {
  webhookId: string;
  /** Without it the bot has to have the permission to manage webhooks. */
  token?: string;
}
interface OnWebhookMessage {
  webhookId: string;
  token: string;
  messageId: string;
  /** The thread that the message is in. */
  threadId?: string;
}

/**
 * Discord's REST API, as far as it concerns the script's own guild. Results are as Discord sends them, null where it
 * sends nothing. Every method rejects with {@link DiscordHttpError}, {@link RateLimitedError},
 * {@link ScopeForbiddenError} (something of another guild), {@link InvalidInputError}, or {@link UnknownOpError}.
 */
interface Rest {
  // messages

  /** `replyTo` (or `messageId`) makes it a reply to that message. */
  sendMessage(
    args: InChannel & MessageOptions & { replyTo?: string; messageId?: string; stickerIds?: readonly string[] },
  ): Promise<RawMessage>;
  /** Of somebody else's message the flags only. */
  editMessage(args: OnMessage & MessageEditOptions): Promise<RawMessage>;
  deleteMessage(args: OnMessage & WithReason): Promise<unknown>;
  /** Up to 100 messages, none older than two weeks. */
  bulkDeleteMessages(args: InChannel & WithReason & { messageIds: readonly string[] }): Promise<unknown>;
  /** Shows the message in another channel of the guild. */
  forwardMessage(args: OnMessage & { toChannelId: string }): Promise<RawMessage>;
  /** Publishes a message of an announcement channel to the channels that follow it. */
  crosspostMessage(args: OnMessage): Promise<RawMessage>;
  fetchMessage(args: OnMessage): Promise<RawMessage>;
  /** Up to 100, newest first. */
  fetchMessages(args: InChannel & Page & { around?: string }): Promise<RawMessage[]>;
  /** Searches the guild's messages; up to 25 at once. */
  searchMessages(
    args: InGuild & {
      content?: string;
      channelId?: readonly string[];
      authorId?: readonly string[];
      authorType?: readonly string[];
      mentions?: readonly string[];
      mentionEveryone?: boolean;
      /** `"image"`, `"link"`, `"poll"`… */
      has?: readonly string[];
      pinned?: boolean;
      minId?: string;
      maxId?: string;
      limit?: number;
      offset?: number;
      sortBy?: "timestamp" | "relevance";
      sortOrder?: "asc" | "desc";
      /** How many words may stand between those searched for. */
      slop?: number;
    },
  ): Promise<RawJson>;
  pinMessage(args: OnMessage & WithReason): Promise<unknown>;
  unpinMessage(args: OnMessage & WithReason): Promise<unknown>;
  /** Up to 50, the last pinned first; `before` is a time in ISO 8601. */
  fetchPins(args: InChannel & { before?: string; limit?: number }): Promise<{ items: RawJson[]; has_more: boolean }>;
  /** Shows "is typing" for ten seconds, or until the next message. */
  triggerTyping(args: InChannel): Promise<unknown>;
  /** Closes one of the bot's own polls. */
  endPoll(args: OnMessage): Promise<RawMessage>;
  fetchPollVoters(
    args: OnMessage & { answerId: string | number; after?: string; limit?: number },
  ): Promise<{ users: RawJson[] }>;

  // reactions

  addReaction(args: OnMessage & { emoji: string | PartialEmoji }): Promise<unknown>;
  /** Without `userId` the bot's own. */
  removeReaction(args: OnMessage & { emoji: string | PartialEmoji; userId?: string }): Promise<unknown>;
  /** All, or all of one emoji. */
  clearReactions(args: OnMessage & { emoji?: string | PartialEmoji }): Promise<unknown>;
  /** The users that reacted; type 1 are burst reactions. */
  fetchReactions(
    args: OnMessage & { emoji: string | PartialEmoji; type?: 0 | 1; after?: string; limit?: number },
  ): Promise<RawJson[]>;

  // interactions; `ctx` has simpler ways

  sendInteractionResponse(args: OnInteraction & MessageOptions & { ephemeral?: boolean }): Promise<unknown>;
  /** Shows "is thinking…". */
  deferInteractionResponse(args: OnInteraction & { ephemeral?: boolean }): Promise<unknown>;
  /** Acknowledges a component without a sign. */
  deferInteractionUpdate(args: OnInteraction): Promise<unknown>;
  /** Edits the message that the component sits on. */
  updateInteractionResponse(args: OnInteraction & MessageEditOptions): Promise<unknown>;
  showModal(
    args: OnInteraction & { customId: string; title: string; components: readonly ComponentLike[] },
  ): Promise<unknown>;
  /** Up to 25. */
  sendAutocompleteResponse(
    args: OnInteraction & { choices: readonly (string | number | CommandChoice)[] },
  ): Promise<unknown>;
  fetchOriginalInteractionResponse(args: ByToken): Promise<RawMessage>;
  editOriginalInteractionResponse(args: ByToken & MessageEditOptions): Promise<RawMessage>;
  deleteOriginalInteractionResponse(args: ByToken): Promise<unknown>;
  createFollowupMessage(args: ByToken & MessageOptions & { ephemeral?: boolean }): Promise<RawMessage>;
  fetchFollowupMessage(args: ByToken & { messageId: string }): Promise<RawMessage>;
  editFollowupMessage(args: ByToken & MessageEditOptions & { messageId: string }): Promise<RawMessage>;
  deleteFollowupMessage(args: ByToken & { messageId: string }): Promise<unknown>;

  // application commands; `createBot` registers those that it is given

  /** Replaces all commands of the guild. */
  upsertGuildCommands(args: InGuild & { commands: readonly FlattenedSlashCommand[] }): Promise<RawJson[]>;
  createGuildCommand(args: InGuild & { command: FlattenedSlashCommand }): Promise<RawJson>;
  editGuildCommand(args: OnCommand & { command: FlattenedSlashCommand }): Promise<RawJson>;
  deleteGuildCommand(args: OnCommand): Promise<unknown>;
  getGuildCommands(args?: InGuild & { withLocalizations?: boolean }): Promise<RawJson[]>;
  getGuildCommand(args: OnCommand): Promise<RawJson>;
  /** `[{ id, type, permission }]`: type 1 is a role, 2 a user, 3 a channel. */
  editGuildCommandPermissions(args: OnCommand & { permissions: JsonValue }): Promise<RawJson>;
  getGuildCommandsPermissions(args?: InGuild): Promise<RawJson[]>;
  getGuildCommandPermissions(args: OnCommand): Promise<RawJson>;

  // channels; see also `guild`, which asks nobody

  fetchChannels(args?: InGuild): Promise<RawJson[]>;
  fetchChannel(args: InChannel): Promise<RawJson>;
  createChannel(args: InGuild & WithPayload): Promise<RawJson>;
  editChannel(args: InChannel & WithPayload): Promise<RawJson>;
  deleteChannel(args: InChannel & WithReason): Promise<RawJson>;
  /** `[{ id, position, parent_id, lock_permissions }]` */
  moveChannels(args: InGuild & { positions: readonly RawJson[] }): Promise<unknown>;
  /**
   * What a role or member may do in a channel, in place of what was set for it before.
   *
   * ```ts
   * await rest.editChannelPermissions({ channelId, overwriteId: roleId, type: "role", deny: "SendMessages" });
   * ```
   */
  editChannelPermissions(
    args: InChannel &
      WithReason & {
        /** A role's or user's id. */
        overwriteId: string;
        type: "role" | "member" | 0 | 1;
        allow?: Permissions;
        deny?: Permissions;
      },
  ): Promise<unknown>;
  deleteChannelPermissions(args: InChannel & WithReason & { overwriteId: string }): Promise<unknown>;
  /** Sends what is published in an announcement channel of the guild to another one of its channels. */
  followChannel(args: InChannel & WithReason & { webhookChannelId: string }): Promise<RawJson>;
  setVoiceChannelStatus(args: InChannel & WithReason & { status: string | null }): Promise<unknown>;
  /** Plays a sound in the voice channel that the bot is in. */
  sendSoundboardSound(args: InChannel & { soundId: string; sourceGuildId?: string }): Promise<unknown>;

  // threads

  /** `payload`: `{ name, type, auto_archive_duration, invitable }`. */
  createThread(args: InChannel & WithPayload): Promise<RawJson>;
  createThreadFromMessage(args: OnMessage & WithPayload): Promise<RawJson>;
  /** A post in a forum or media channel: a thread with its first message. */
  createForumPost(
    args: InChannel &
      MessageOptions &
      WithReason & {
        name: string;
        /** Ids of the forum's tags. */
        appliedTags?: readonly string[];
        /** In minutes: 60, 1440, 4320 or 10080. */
        autoArchiveDuration?: number;
        rateLimitPerUser?: number;
      },
  ): Promise<RawJson>;
  joinThread(args: InThread): Promise<unknown>;
  leaveThread(args: InThread): Promise<unknown>;
  addThreadMember(args: InThread & { userId: string }): Promise<unknown>;
  removeThreadMember(args: InThread & { userId: string }): Promise<unknown>;
  fetchThreadMember(args: InThread & { userId: string; withMember?: boolean }): Promise<RawJson>;
  fetchThreadMembers(
    args: InThread & { withMember?: boolean; after?: string; limit?: number },
  ): Promise<RawJson[]>;
  fetchActiveThreads(args?: InGuild): Promise<{ threads: RawJson[]; members: RawJson[] }>;
  /** Public ones, the last archived first; `before` is a time in ISO 8601. */
  fetchArchivedThreads(args: InChannel & { before?: string; limit?: number }): Promise<RawJson>;
  fetchPrivateArchivedThreads(args: InChannel & { before?: string; limit?: number }): Promise<RawJson>;
  /** Private ones that the bot has joined; `before` is a thread's id. */
  fetchJoinedArchivedThreads(args: InChannel & { before?: string; limit?: number }): Promise<RawJson>;

  // members and bans

  fetchMember(args: OnMember): Promise<RawJson>;
  /** Up to 1000, by id. Needs the intent for members. */
  fetchMembers(args?: InGuild & { after?: string; limit?: number }): Promise<RawJson[]>;
  /** Members whose name or nickname begins with `query`. */
  searchMembers(args: InGuild & { query: string; limit?: number }): Promise<RawJson[]>;
  /** `payload`: `{ nick, roles, mute, deaf, channel_id, communication_disabled_until }`. */
  editMember(args: OnMember & WithPayload): Promise<RawJson>;
  /** The bot itself: `{ nick, avatar, banner, bio }`. */
  editCurrentMember(args: InGuild & WithPayload): Promise<RawJson>;
  kickMember(args: OnMember & WithReason): Promise<unknown>;
  addMemberRole(args: OnMember & WithReason & { roleId: string }): Promise<unknown>;
  removeMemberRole(args: OnMember & WithReason & { roleId: string }): Promise<unknown>;
  /** `deleteMessageSeconds`: how far back the user's messages are deleted, up to seven days. */
  banMember(args: OnMember & WithReason & { deleteMessageSeconds?: number }): Promise<unknown>;
  unbanMember(args: OnMember & WithReason): Promise<unknown>;
  /** Up to 200 at once. */
  bulkBanMembers(
    args: InGuild & WithReason & { userIds: readonly string[]; deleteMessageSeconds?: number },
  ): Promise<{ banned_users: string[]; failed_users: string[] }>;
  fetchBan(args: OnMember): Promise<RawJson>;
  /** Up to 1000. */
  fetchBans(args?: InGuild & Page): Promise<RawJson[]>;
  /** How many members {@link Rest.pruneMembers} would remove. */
  fetchPruneCount(
    args?: InGuild & { days?: number; includeRoles?: readonly string[] },
  ): Promise<{ pruned: number | null }>;
  /** Removes members without a role who were away for so many days. */
  pruneMembers(
    args: InGuild &
      WithReason & { days?: number; computePruneCount?: boolean; includeRoles?: readonly string[] },
  ): Promise<{ pruned: number | null }>;
  fetchVoiceState(args: OnMember): Promise<RawJson>;
  fetchCurrentVoiceState(args?: InGuild): Promise<RawJson>;
  /** On a stage: `{ channel_id, suppress }`. */
  editVoiceState(args: OnMember & { payload: RawJson }): Promise<unknown>;
  editCurrentVoiceState(args: InGuild & { payload: RawJson }): Promise<unknown>;
  /** What anybody may know of a user. */
  fetchUser(args: { userId: string }): Promise<RawJson>;

  // roles

  fetchRoles(args?: InGuild): Promise<RawJson[]>;
  fetchRole(args: OnRole): Promise<RawJson>;
  /** How many members have each role, by its id. */
  fetchRoleMemberCounts(args?: InGuild): Promise<{ [roleId: string]: number }>;
  /** `payload`: `{ name, permissions, color, hoist, icon, mentionable }`. */
  createRole(args?: InGuild & WithReason & { payload?: RawJson }): Promise<RawJson>;
  editRole(args: OnRole & WithPayload): Promise<RawJson>;
  deleteRole(args: OnRole & WithReason): Promise<unknown>;
  /** `[{ id, position }]` */
  moveRoles(args: InGuild & WithReason & { positions: readonly RawJson[] }): Promise<RawJson[]>;

  // the guild

  fetchGuild(args?: InGuild & { withCounts?: boolean }): Promise<RawJson>;
  editGuild(args: InGuild & WithPayload): Promise<RawJson>;
  fetchGuildPreview(args?: InGuild): Promise<RawJson>;
  fetchVoiceRegions(args?: InGuild): Promise<RawJson[]>;
  fetchIntegrations(args?: InGuild): Promise<RawJson[]>;
  deleteIntegration(args: InGuild & WithReason & { integrationId: string }): Promise<unknown>;
  fetchVanityUrl(args?: InGuild): Promise<RawJson>;
  fetchWelcomeScreen(args?: InGuild): Promise<RawJson>;
  editWelcomeScreen(args: InGuild & WithPayload): Promise<RawJson>;
  fetchOnboarding(args?: InGuild): Promise<RawJson>;
  editOnboarding(args: InGuild & WithPayload): Promise<RawJson>;
  fetchWidget(args?: InGuild): Promise<RawJson>;
  editWidget(args: InGuild & WithPayload): Promise<RawJson>;
  /** Pauses invites or direct messages: `{ invites_disabled_until, dms_disabled_until }`. */
  editIncidentActions(args: InGuild & { payload: RawJson }): Promise<RawJson>;
  fetchAuditLog(
    args?: InGuild & Page & { userId?: string; targetId?: string; actionType?: number },
  ): Promise<RawJson>;
  fetchTemplates(args?: InGuild): Promise<RawJson[]>;
  createTemplate(args: InGuild & { payload: RawJson }): Promise<RawJson>;
  syncTemplate(args: InGuild & { code: string }): Promise<RawJson>;
  editTemplate(args: InGuild & { code: string; payload: RawJson }): Promise<RawJson>;
  deleteTemplate(args: InGuild & { code: string }): Promise<RawJson>;

  // invites

  fetchInvites(args?: InGuild): Promise<RawJson[]>;
  fetchChannelInvites(args: InChannel): Promise<RawJson[]>;
  /** `payload`: `{ max_age, max_uses, temporary, unique }`. */
  createInvite(args: InChannel & WithReason & { payload?: RawJson }): Promise<RawJson>;
  /** Of the own guild. */
  fetchInvite(
    args: { code: string; withCounts?: boolean; guildScheduledEventId?: string },
  ): Promise<RawJson>;
  deleteInvite(args: WithReason & { code: string }): Promise<RawJson>;

  // emojis, stickers and sounds

  fetchEmojis(args?: InGuild): Promise<RawJson[]>;
  fetchEmoji(args: InGuild & { emojiId: string }): Promise<RawJson>;
  /** `payload`: `{ name, image, roles }`, the image as `data:image/png;base64,…`. */
  createEmoji(args: InGuild & WithPayload): Promise<RawJson>;
  editEmoji(args: InGuild & WithPayload & { emojiId: string }): Promise<RawJson>;
  deleteEmoji(args: InGuild & WithReason & { emojiId: string }): Promise<unknown>;
  fetchStickers(args?: InGuild): Promise<RawJson[]>;
  fetchSticker(args: InGuild & { stickerId: string }): Promise<RawJson>;
  /** PNG, APNG, GIF or Lottie JSON of up to 512 KiB; `tags` is the emoji that it goes with. */
  createSticker(
    args: InGuild &
      WithReason & {
        name: string;
        tags: string;
        description?: string;
        file: { filename: string; data: Uint8Array | string; contentType?: string };
      },
  ): Promise<RawJson>;
  editSticker(args: InGuild & WithPayload & { stickerId: string }): Promise<RawJson>;
  deleteSticker(args: InGuild & WithReason & { stickerId: string }): Promise<unknown>;
  fetchSoundboardSounds(args?: InGuild): Promise<{ items: RawJson[] }>;
  fetchSoundboardSound(args: InGuild & { soundId: string }): Promise<RawJson>;
  /** `payload`: `{ name, sound, volume, emoji_id, emoji_name }`, the sound as `data:audio/ogg;base64,…`. */
  createSoundboardSound(args: InGuild & WithPayload): Promise<RawJson>;
  editSoundboardSound(args: InGuild & WithPayload & { soundId: string }): Promise<RawJson>;
  deleteSoundboardSound(args: InGuild & WithReason & { soundId: string }): Promise<unknown>;

  // scheduled events, stages, automod

  fetchScheduledEvents(args?: InGuild & { withUserCount?: boolean }): Promise<RawJson[]>;
  fetchScheduledEvent(args: InGuild & { eventId: string; withUserCount?: boolean }): Promise<RawJson>;
  createScheduledEvent(args: InGuild & WithPayload): Promise<RawJson>;
  editScheduledEvent(args: InGuild & WithPayload & { eventId: string }): Promise<RawJson>;
  deleteScheduledEvent(args: InGuild & { eventId: string }): Promise<unknown>;
  fetchScheduledEventUsers(
    args: InGuild & Page & { eventId: string; withMember?: boolean },
  ): Promise<RawJson[]>;
  /** Begins a stage in a stage channel. */
  createStage(
    args: InChannel &
      WithReason & {
        topic: string;
        privacyLevel?: number;
        sendStartNotification?: boolean;
        guildScheduledEventId?: string;
      },
  ): Promise<RawJson>;
  fetchStage(args: InChannel): Promise<RawJson>;
  editStage(args: InChannel & WithPayload): Promise<RawJson>;
  deleteStage(args: InChannel & WithReason): Promise<unknown>;
  fetchAutomodRules(args?: InGuild): Promise<RawJson[]>;
  fetchAutomodRule(args: InGuild & { ruleId: string }): Promise<RawJson>;
  createAutomodRule(args: InGuild & WithPayload): Promise<RawJson>;
  editAutomodRule(args: InGuild & WithPayload & { ruleId: string }): Promise<RawJson>;
  deleteAutomodRule(args: InGuild & WithReason & { ruleId: string }): Promise<unknown>;

  // webhooks

  fetchWebhooks(args?: InGuild): Promise<RawJson[]>;
  fetchChannelWebhooks(args: InChannel): Promise<RawJson[]>;
  fetchWebhook(args: { webhookId: string }): Promise<RawJson>;
  /** `payload`: `{ name, avatar }`. */
  createWebhook(args: InChannel & WithPayload): Promise<RawJson>;
  /** With `wait` the message is returned, else null. */
  executeWebhook(
    args: MessageOptions & {
      webhookId: string;
      token: string;
      wait?: boolean;
      threadId?: string;
      /** Begins a post in a forum. */
      threadName?: string;
      appliedTags?: readonly string[];
      withComponents?: boolean;
      username?: string;
      avatarUrl?: string;
    },
  ): Promise<RawMessage | null>;
  /** `payload`: `{ name, avatar, channel_id }`. */
  editWebhook(args: OnWebhook & WithPayload): Promise<RawJson>;
  deleteWebhook(args: OnWebhook & WithReason): Promise<unknown>;
  fetchWebhookMessage(args: OnWebhookMessage): Promise<RawMessage>;
  editWebhookMessage(
    args: OnWebhookMessage & MessageEditOptions & { withComponents?: boolean },
  ): Promise<RawMessage>;
  deleteWebhookMessage(args: OnWebhookMessage): Promise<unknown>;
}
declare const rest: Rest;

// ------------------------------------------------------------------------------------------- the guild

interface GuildInfo {
  id: string;
  name: string;
  /** Hash of the icon. */
  icon: string | null;
  ownerId: string;
}

interface GuildChannel {
  id: string;
  /** 0 is text, 2 voice, 4 a category, 5 announcements, 10 to 12 threads, 13 a stage, 15 a forum. */
  type: number;
  name: string;
  /** The category, or a thread's channel. */
  parentId: string | null;
  position: number;
  nsfw: boolean;
  /** Type 0 is a role, 1 a member; bit strings, see {@link hasPermission}. */
  permissionOverwrites: { id: string; type: number; allow: string; deny: string }[];
  /** Who began a thread. */
  ownerId?: string;
}

interface GuildMe {
  userId: string;
  nick: string | null;
  /** Ids. */
  roles: string[];
  /** End of a timeout; ISO 8601. */
  communicationDisabledUntil: string | null;
}

/** Whose permissions, and where. */
interface PermissionSubject {
  /** The bot itself when it is left out. */
  userId?: string;
  /** The guild as a whole when it is left out. */
  channelId?: string;
  /** The member's roles where they are at hand (`ctx.msg.member.roles`), which spares a call to Discord. */
  roles?: readonly string[];
}

/**
 * The script's own guild. flora knows it from the gateway, so that nothing here costs a call to Discord, except
 * for other members.
 *
 * ```ts
 * if (!(await guild.can("SendMessages", { channelId }))) return ctx.reply("I may not write there.");
 * ```
 */
interface GuildAccessor {
  readonly id: string;
  info(): Promise<GuildInfo>;
  channels(): Promise<GuildChannel[]>;
  /** Active threads that the bot can see. */
  threads(): Promise<GuildChannel[]>;
  /** A channel or active thread; null when there is none. */
  channel(channelId: string): Promise<GuildChannel | null>;
  roles(): Promise<EventRole[]>;
  role(roleId: string): Promise<EventRole | null>;
  /** The bot as a member. */
  me(): Promise<GuildMe>;
  /** Asks Discord; rejects with {@link DiscordHttpError} 10007 when there is no such member. */
  member(userId: string): Promise<EventMember>;
  /** As a bit string, computed from roles and overwrites. */
  permissions(of?: PermissionSubject): Promise<string>;
  /** Whether a member has all of `wanted`. */
  can(wanted: Permissions, of?: PermissionSubject): Promise<boolean>;
}
declare const guild: GuildAccessor;

// -------------------------------------------------------------------------------------------------- kv

/** When an entry goes by itself: at a unix time, or some time from now, both in seconds. At most one of them. */
interface KvExpiry {
  expiration?: number | bigint;
  ttl?: number;
}

interface KvSetOptions extends KvExpiry {
  /** Kept beside the value and given back by `getWithMetadata` and `list`. */
  metadata?: JsonValue;
  /** Only if there is no such key. */
  ifNotExists?: boolean;
  /** Only if the key has this version: nobody wrote it since you read it. */
  ifVersion?: number;
}

interface KvValue<M = any> {
  /** null when there is no such key; then the other fields are absent. */
  value: string | null;
  metadata?: M;
  /** Unix time in seconds. */
  expiration?: number;
  /** Grows with every write and is never given twice. */
  version?: number;
}

interface KvListOptions {
  prefix?: string;
  /** 100 by default, at most 1000. */
  limit?: number | bigint;
  /** From the page before. */
  cursor?: string;
  /** From the last key to the first. */
  reverse?: boolean;
}

interface KvKey<M = any> {
  name: string;
  version: number;
  metadata?: M;
  /** Unix time in seconds. */
  expiration?: number;
}

interface KvPage<M = any> {
  keys: KvKey<M>[];
  /** False when there are more keys: `list` again with `cursor`. */
  listComplete: boolean;
  cursor?: string;
}

/** One step of a transaction. `store` names another store of the guild than the transaction's. */
type KvStep = { store?: string; key: string } & (
  | { /** Nothing is done unless the key has this version; null: unless there is no such key. */ type: "check"; version: number | null }
  | ({ type: "set"; value: string } & KvSetOptions)
  | { type: "updateMetadata"; metadata?: JsonValue }
  | { type: "delete"; ifVersion?: number }
  | ({ type: "increment"; by?: number } & KvExpiry)
);

interface KvCommit {
  version: number;
  /** For each step that is no check, in order: the number of an increment, whether a delete found its key, else null. */
  results: (number | boolean | null)[];
}

/**
 * A store of texts by name, kept on the host's disk: it outlives deployments, restarts and crashes. What a method
 * that writes has resolved is safe.
 *
 * Keys are up to 512 bytes, values up to 1 MiB, a store up to 100 MiB, all stores of a guild up to 500 MiB. What is
 * refused rejects with a `KvError`.
 */
interface KvStore {
  readonly name: string;

  /** The value, null when there is no such key. */
  get(key: string): Promise<string | null>;

  /** The value with all that is kept beside it. */
  getWithMetadata<M = any>(key: string): Promise<KvValue<M>>;

  /**
   * Writes a value. Resolves to its version, or to null when `ifNotExists` or `ifVersion` did not hold and nothing
   * was written. An expiry and metadata of the value before do not stay.
   *
   * ```ts
   * if (await kv.store("daily").set(userId, "1", { ifNotExists: true, ttl: 86_400 })) await giveReward();
   * ```
   */
  set(key: string, value: string, options?: KvSetOptions): Promise<number | null>;

  /** Replaces the metadata; without an argument removes it. Value and expiry stay. */
  updateMetadata(key: string, metadata?: JsonValue): Promise<number>;

  /** Resolves to whether something was removed. */
  delete(key: string, options?: { ifVersion?: number }): Promise<boolean>;

  /** A page of keys in the order of their UTF-8 bytes. */
  list<M = any>(options?: KvListOptions): Promise<KvPage<M>>;

  /** How many keys there are. */
  count(options?: { prefix?: string }): Promise<number>;

  /**
   * Adds `by` (1 by default) to a whole number and resolves to the sum, in one step that no other handler can get
   * between. An absent key counts from 0. An expiry stays unless a new one is given.
   */
  increment(key: string, by?: number, options?: KvExpiry): Promise<number>;

  /**
   * Carries out all steps or none of them. Resolves to null when a check, `ifNotExists` or `ifVersion` did not hold.
   *
   * ```ts
   * const bank = kv.store("bank");
   * const from = await bank.getWithMetadata("ann");
   * if (Number(from.value) < 5) return ctx.reply("Ann is broke.");
   * await bank.transaction([
   *   { type: "check", key: "ann", version: from.version ?? null },
   *   { type: "increment", key: "ann", by: -5 },
   *   { type: "increment", key: "bo", by: 5 },
   * ]);
   * ```
   */
  transaction(steps: readonly KvStep[]): Promise<KvCommit | null>;
}

interface Kv {
  /** The guild's store of that name. It need not be created. */
  store(name: string): KvStore;
}

/**
 * The guild's key-value stores.
 *
 * ```ts
 * const visits = await kv.store("counters").increment("visits");
 * ```
 */
declare const kv: Kv;

/** The same as `kv.store`. */
declare function store(name: string): KvStore;

// -------------------------------------------------------------------------------------- cron and tasks

interface CronOptions {
  /** An IANA name such as `"Europe/Berlin"`. UTC without it. */
  timeZone?: string;
  /** Leaves a run out while the one before has not ended. */
  skipIfRunning?: boolean;
  /**
   * What becomes of runs that were missed, because flora was down or the script was stopped: `"none"` lets them go,
   * `"latest"` makes up for the last one, `"all"` for each of them (at most the last 100), one after another.
   * `"none"` without it.
   */
  catchUp?: "none" | "latest" | "all";
  /** Starts each run up to so many seconds late, at most 3600, so that not everything begins at full minutes. */
  jitter?: number;
  /** Where `ctx.reply` sends to. */
  channelId?: string;
}

/** Why something runs: at its time, made up for, tried again after a failure, or by `flora cron run`. */
type RunTrigger = "schedule" | "catchUp" | "retry" | "manual";

interface CronContext extends BaseContext<EventCron> {
  /** The job's. */
  name: string;
  /** When the run was due, as ISO 8601. It may run later. */
  scheduledAt: string;
  trigger: RunTrigger;
}

/**
 * Runs `handler` at the times of a cron expression. Declare jobs while the script loads. flora keeps the time: jobs
 * go on over restarts and redeploys of the script and of flora, and wake a script that sleeps.
 *
 * Expressions have five to seven fields, `second? minute hour day month weekday year?`, with lists, ranges, steps,
 * names (`MON`, `JAN`), `L` (last), `15W` (nearest weekday), `MON#2` (second Monday), or are `@hourly`, `@daily`,
 * `@weekly`, `@monthly`, `@yearly`.
 *
 * ```ts
 * cron("good-morning", "0 9 * * MON-FRI", async (ctx) => {
 *   await ctx.reply("Good morning!");
 * }, { timeZone: "Europe/Berlin", channelId: LOBBY, catchUp: "latest" });
 * ```
 *
 * @param name - Unique in the script; shown by `flora cron list`.
 */
declare function cron(
  name: string,
  expression: string,
  handler: (ctx: CronContext) => Awaitable,
  options?: CronOptions,
): void;

interface NewTask {
  /** What the task is known by: another one of the same key takes its place. Without it, each one is new. */
  key?: string;
  /** When it is due: a `Date`, ISO 8601, or milliseconds since the epoch. */
  at?: Date | string | number;
  /** When it is due from now: seconds, or text such as `"90s"`, `"10m"`, `"2h"`, `"1d"`. In place of `at`. */
  in?: number | string;
  /** What the task needs to know: up to 16 KiB of JSON. `ctx.data` then. */
  data?: JsonValue;
  /** Where `ctx.reply` sends to. */
  channelId?: string;
}

interface ScheduledTask {
  key: string;
  /** When it was wanted, as ISO 8601. */
  at: string;
  /** When it is tried next. */
  nextAt: string;
  data: any;
  channelId: string | null;
  /** Attempts that failed, and why the last one did. */
  failures: number;
  error: string | null;
  /** Given up: it is tried again only by `flora tasks run`. */
  dead: boolean;
}

/** A task is due. */
interface TaskContext extends BaseContext<EventTask> {
  key: string;
  data: any;
  /** When the task was wanted, as ISO 8601. */
  scheduledAt: string;
  /** Above 1 when the handler failed before. */
  attempt: number;
  trigger: RunTrigger;
}

interface Tasks {
  /**
   * Has something done once, later. The task is kept until `on("task", …)` has done it: it survives restarts of the
   * script and of flora. A handler that throws is tried again, with growing pauses, five times in all; what flora was
   * doing when it was killed is done again. So a task may happen more than once, and `ctx.event.id` is the same then.
   *
   * ```ts
   * await tasks.schedule({ in: "10m", channelId: ctx.msg.channelId, data: { text: "tea is ready" } });
   *
   * on("task", async (ctx) => {
   *   await ctx.reply(ctx.data.text);
   * });
   * ```
   */
  schedule(task: NewTask): Promise<ScheduledTask>;
  /** Takes a task back; false when there is none of this key. An attempt that has begun goes on. */
  cancel(key: string): Promise<boolean>;
  /** The tasks that are not done, the next one first. */
  list(options?: { prefix?: string }): Promise<ScheduledTask[]>;
}

/** Tasks that are done once, at a time: reminders, ends of polls, temporary roles. */
declare const tasks: Tasks;

// --------------------------------------------------------------------------------------------- secrets

interface Secrets {
  /**
   * A placeholder for a secret, null when the guild has none of that name. Put it where the secret belongs, in the
   * URL, the headers or the body of a request: on the way out the host replaces it, if the secret is allowed for
   * the request's host. The script never sees the value.
   *
   * ```ts
   * const token = secrets.get("github");
   * await fetch("https://api.github.com/user", { headers: { authorization: `Bearer ${token}` } });
   * ```
   */
  get(name: string): string | null;
}

/** The guild's secrets, set with `flora secrets set`. */
declare const secrets: Secrets;

// ---------------------------------------------------------------------------------------------- errors

/**
 * Discord refused a call.
 *
 * ```ts
 * try {
 *   await rest.banMember({ userId });
 * } catch (error) {
 *   if (!(error instanceof DiscordHttpError) || error.discordCode !== 50013) throw error;
 *   await ctx.reply("My role is too low for that.");
 * }
 * ```
 */
declare class DiscordHttpError extends Error {
  /** `"DISCORD_HTTP_ERROR"` */
  readonly code: string;
  /** Of HTTP. */
  readonly status: number;
  /** Discord's own, such as 50013 for missing permissions; 0 when there is none. */
  readonly discordCode: number;
  /** Method and path, without ids: `"POST /channels/{channel_id}/messages"`. */
  readonly route?: string;
  /** What is wrong with which field, as Discord says it; the message names the first ones. */
  readonly errors?: RawJson;
}

/** Discord wants the bot to wait longer than a call may take. */
declare class RateLimitedError extends Error {
  /** `"DISCORD_RATE_LIMITED"` */
  readonly code: string;
  readonly status: number;
  /** In milliseconds. */
  readonly retryAfterMs: number;
}

/** The call concerns something outside the script's own guild. */
declare class ScopeForbiddenError extends Error {
  /** `"SCOPE_FORBIDDEN"` */
  readonly code: string;
}

/** An argument is wrong; the message names it. */
declare class InvalidInputError extends Error {
  /** `"INVALID_INPUT"` */
  readonly code: string;
}

/** This version of flora lacks what was asked for; the message names it. */
declare class UnknownOpError extends Error {
  /** `"UNKNOWN_OP"` */
  readonly code: string;
}

/**
 * The KV store refused an operation. `code` says why: `KV_INVALID_INPUT`, `KV_TOO_LARGE`, `KV_QUOTA_EXCEEDED`,
 * `KV_RATE_LIMITED`, `KV_KEY_NOT_FOUND`, `KV_NOT_A_NUMBER`, `KV_BUSY`, `KV_STORAGE_FULL`, `KV_CORRUPT`,
 * `KV_UNAVAILABLE`.
 */
declare class KvError extends Error {
  readonly code: string;
}

// --------------------------------------------------------------------------------------------- runtime

/** Id of the guild that the script runs for. */
declare const __floraGuildId: string;

/** Everything above under one name, for scripts that use a name of it for something else. */
declare const flora: {
  readonly createBot: typeof createBot;
  readonly on: typeof on;
  readonly once: typeof once;
  readonly off: typeof off;
  readonly prefix: typeof prefix;
  readonly slash: typeof slash;
  readonly component: typeof component;
  readonly modal: typeof modal;
  readonly registerSlashCommands: typeof registerSlashCommands;
  readonly rest: typeof rest;
  readonly guild: typeof guild;
  readonly kv: typeof kv;
  readonly store: typeof store;
  readonly secrets: typeof secrets;
  readonly cron: typeof cron;
  readonly tasks: typeof tasks;
  readonly flattenCommands: typeof flattenCommands;
  readonly flattenInteractionOptions: typeof flattenInteractionOptions;
  readonly getSubcommand: typeof getSubcommand;
  readonly getSubcommandGroup: typeof getSubcommandGroup;
  readonly handleSubcommand: typeof handleSubcommand;
  readonly hasRole: typeof hasRole;
  readonly hasPermission: typeof hasPermission;
  readonly permissionBits: typeof permissionBits;
  readonly PermissionFlags: typeof PermissionFlags;
  readonly embed: typeof embed;
  readonly EmbedBuilder: typeof EmbedBuilder;
  readonly actionRow: typeof actionRow;
  readonly ActionRowBuilder: typeof ActionRowBuilder;
  readonly button: typeof button;
  readonly ButtonBuilder: typeof ButtonBuilder;
  readonly SelectMenuBuilderBase: typeof SelectMenuBuilderBase;
  readonly stringSelect: typeof stringSelect;
  readonly StringSelectMenuBuilder: typeof StringSelectMenuBuilder;
  readonly userSelect: typeof userSelect;
  readonly UserSelectMenuBuilder: typeof UserSelectMenuBuilder;
  readonly roleSelect: typeof roleSelect;
  readonly RoleSelectMenuBuilder: typeof RoleSelectMenuBuilder;
  readonly mentionableSelect: typeof mentionableSelect;
  readonly MentionableSelectMenuBuilder: typeof MentionableSelectMenuBuilder;
  readonly channelSelect: typeof channelSelect;
  readonly ChannelSelectMenuBuilder: typeof ChannelSelectMenuBuilder;
  readonly inputText: typeof inputText;
  readonly InputTextBuilder: typeof InputTextBuilder;
  readonly fileUpload: typeof fileUpload;
  readonly FileUploadBuilder: typeof FileUploadBuilder;
  readonly textDisplay: typeof textDisplay;
  readonly TextDisplayBuilder: typeof TextDisplayBuilder;
  readonly thumbnail: typeof thumbnail;
  readonly ThumbnailBuilder: typeof ThumbnailBuilder;
  readonly section: typeof section;
  readonly SectionBuilder: typeof SectionBuilder;
  readonly mediaGallery: typeof mediaGallery;
  readonly MediaGalleryBuilder: typeof MediaGalleryBuilder;
  readonly file: typeof file;
  readonly FileBuilder: typeof FileBuilder;
  readonly separator: typeof separator;
  readonly SeparatorBuilder: typeof SeparatorBuilder;
  readonly container: typeof container;
  readonly ContainerBuilder: typeof ContainerBuilder;
  readonly label: typeof label;
  readonly LabelBuilder: typeof LabelBuilder;
  readonly ComponentType: typeof ComponentType;
  readonly ButtonStyle: typeof ButtonStyle;
  readonly ButtonStyles: typeof ButtonStyles;
  readonly InputTextStyle: typeof InputTextStyle;
  readonly InputTextStyles: typeof InputTextStyles;
  readonly MessageFlags: typeof MessageFlags;
  readonly DiscordHttpError: typeof DiscordHttpError;
  readonly RateLimitedError: typeof RateLimitedError;
  readonly ScopeForbiddenError: typeof ScopeForbiddenError;
  readonly InvalidInputError: typeof InvalidInputError;
  readonly KvError: typeof KvError;
  readonly UnknownOpError: typeof UnknownOpError;
};

/** Writes to the guild's log. */
interface Console {
  log(...data: any[]): void;
  trace(...data: any[]): void;
  debug(...data: any[]): void;
  info(...data: any[]): void;
  warn(...data: any[]): void;
  error(...data: any[]): void;
  table(tabularData?: any, properties?: string[]): void;
  /** Logs an error unless `condition` holds. */
  assert(condition?: any, ...data: any[]): void;
  clear(): void;
  count(label?: string): void;
  countReset(label?: string): void;
  dir(item?: any): void;
  dirxml(...data: any[]): void;
  /** Indents what follows until {@link Console.groupEnd}. */
  group(...data: any[]): void;
  groupCollapsed(...data: any[]): void;
  groupEnd(): void;
  time(label?: string): void;
  timeLog(label?: string, ...data: any[]): void;
  timeEnd(label?: string): void;
}
declare var console: Console;

/** Runs `callback` once, `delay` milliseconds later, also after the event's handler has ended. */
declare function setTimeout(callback: (...args: any[]) => void, delay?: number, ...args: any[]): number;
declare function clearTimeout(id: number | undefined): void;
/** Runs `callback` every `delay` milliseconds. Timers end with the process; use them for short waits. */
declare function setInterval(callback: (...args: any[]) => void, delay?: number, ...args: any[]): number;
declare function clearInterval(id: number | undefined): void;
declare function queueMicrotask(callback: () => void): void;

// ----------------------------------------------------------------------------------------- web platform

/** An error of the web platform; `name` says which, such as "AbortError", "TimeoutError", "DataCloneError". */
interface DOMException extends Error {
  readonly code: number;
}
declare var DOMException: { prototype: DOMException; new (message?: string, name?: string): DOMException };

interface Event {
  readonly type: string;
  readonly target: EventTarget | null;
  readonly currentTarget: EventTarget | null;
  readonly cancelable: boolean;
  readonly defaultPrevented: boolean;
  readonly timeStamp: number;
  preventDefault(): void;
  stopPropagation(): void;
  stopImmediatePropagation(): void;
}
interface EventInit {
  bubbles?: boolean;
  cancelable?: boolean;
  composed?: boolean;
}
declare var Event: { prototype: Event; new (type: string, init?: EventInit): Event };

interface CustomEvent<T = any> extends Event {
  readonly detail: T;
}
declare var CustomEvent: {
  prototype: CustomEvent;
  new <T>(type: string, init?: EventInit & { detail?: T }): CustomEvent<T>;
};

type EventListenerLike = ((event: any) => void) | { handleEvent(event: any): void };

interface EventTarget {
  addEventListener(
    type: string,
    listener: EventListenerLike | null,
    options?: boolean | { capture?: boolean; once?: boolean; passive?: boolean; signal?: AbortSignal },
  ): void;
  removeEventListener(type: string, listener: EventListenerLike | null, options?: boolean | { capture?: boolean }): void;
  dispatchEvent(event: Event): boolean;
}
declare var EventTarget: { prototype: EventTarget; new (): EventTarget };

/** Says when something is to be given up; `fetch` takes one. */
interface AbortSignal extends EventTarget {
  readonly aborted: boolean;
  readonly reason: any;
  onabort: ((event: Event) => void) | null;
  throwIfAborted(): void;
}
declare var AbortSignal: {
  prototype: AbortSignal;
  abort(reason?: any): AbortSignal;
  /** Aborted with a "TimeoutError" after so many milliseconds. */
  timeout(milliseconds: number): AbortSignal;
  /** Aborted as soon as one of them is. */
  any(signals: Iterable<AbortSignal>): AbortSignal;
};
interface AbortController {
  readonly signal: AbortSignal;
  abort(reason?: any): void;
}
declare var AbortController: { prototype: AbortController; new (): AbortController };

interface URL {
  href: string;
  readonly origin: string;
  protocol: string;
  username: string;
  password: string;
  host: string;
  hostname: string;
  port: string;
  pathname: string;
  search: string;
  readonly searchParams: URLSearchParams;
  hash: string;
  toString(): string;
  toJSON(): string;
}
declare var URL: {
  prototype: URL;
  /** Throws a TypeError for what is no URL. */
  new (url: string | URL, base?: string | URL): URL;
  canParse(url: string | URL, base?: string | URL): boolean;
  /** null for what is no URL. */
  parse(url: string | URL, base?: string | URL): URL | null;
};

interface URLSearchParams extends Iterable<[string, string]> {
  readonly size: number;
  append(name: string, value: string): void;
  delete(name: string, value?: string): void;
  get(name: string): string | null;
  getAll(name: string): string[];
  has(name: string, value?: string): boolean;
  set(name: string, value: string): void;
  sort(): void;
  forEach(callback: (value: string, name: string, params: URLSearchParams) => void, thisArg?: any): void;
  entries(): IterableIterator<[string, string]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
  toString(): string;
}
declare var URLSearchParams: {
  prototype: URLSearchParams;
  new (init?: string | URLSearchParams | Iterable<readonly [string, string]> | Record<string, string>): URLSearchParams;
};

interface URLPatternInit {
  protocol?: string;
  username?: string;
  password?: string;
  hostname?: string;
  port?: string;
  pathname?: string;
  search?: string;
  hash?: string;
  baseURL?: string;
}
interface URLPatternComponentResult {
  input: string;
  groups: Record<string, string | undefined>;
}
interface URLPatternResult {
  inputs: (string | URLPatternInit)[];
  protocol: URLPatternComponentResult;
  username: URLPatternComponentResult;
  password: URLPatternComponentResult;
  hostname: URLPatternComponentResult;
  port: URLPatternComponentResult;
  pathname: URLPatternComponentResult;
  search: URLPatternComponentResult;
  hash: URLPatternComponentResult;
}
/** `new URLPattern({ pathname: "/:owner/:repo" }).exec(url)?.pathname.groups.owner` */
interface URLPattern {
  readonly protocol: string;
  readonly username: string;
  readonly password: string;
  readonly hostname: string;
  readonly port: string;
  readonly pathname: string;
  readonly search: string;
  readonly hash: string;
  test(input?: string | URL | URLPatternInit, baseURL?: string): boolean;
  exec(input?: string | URL | URLPatternInit, baseURL?: string): URLPatternResult | null;
}
declare var URLPattern: {
  prototype: URLPattern;
  new (input: string | URLPatternInit, baseURL: string, options?: { ignoreCase?: boolean }): URLPattern;
  new (input?: string | URLPatternInit, options?: { ignoreCase?: boolean }): URLPattern;
};

type BufferSource = ArrayBuffer | ArrayBufferView;

/** Text to UTF-8. */
interface TextEncoder {
  readonly encoding: string;
  encode(text?: string): Uint8Array<ArrayBuffer>;
  encodeInto(text: string, destination: Uint8Array): { read: number; written: number };
}
declare var TextEncoder: { prototype: TextEncoder; new (): TextEncoder };

/** Bytes to text: utf-8, utf-16le, utf-16be, latin1 (windows-1252). */
interface TextDecoder {
  readonly encoding: string;
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  decode(input?: BufferSource, options?: { stream?: boolean }): string;
}
declare var TextDecoder: {
  prototype: TextDecoder;
  new (label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean }): TextDecoder;
};

/** Base64 of a text whose characters are bytes (up to U+00FF). */
declare function btoa(data: string): string;
declare function atob(data: string): string;

interface Blob {
  readonly size: number;
  readonly type: string;
  arrayBuffer(): Promise<ArrayBuffer>;
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  slice(start?: number, end?: number, type?: string): Blob;
  stream(): ReadableStream<Uint8Array<ArrayBuffer>>;
  text(): Promise<string>;
}
type BlobPart = string | Blob | BufferSource;
declare var Blob: { prototype: Blob; new (parts?: Iterable<BlobPart>, options?: { type?: string }): Blob };

interface File extends Blob {
  readonly name: string;
  readonly lastModified: number;
}
declare var File: {
  prototype: File;
  new (parts: Iterable<BlobPart>, name: string, options?: { type?: string; lastModified?: number }): File;
};

interface FormData extends Iterable<[string, string | File]> {
  append(name: string, value: string | Blob, filename?: string): void;
  delete(name: string): void;
  get(name: string): string | File | null;
  getAll(name: string): (string | File)[];
  has(name: string): boolean;
  set(name: string, value: string | Blob, filename?: string): void;
  forEach(callback: (value: string | File, name: string, form: FormData) => void, thisArg?: any): void;
  entries(): IterableIterator<[string, string | File]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string | File>;
}
declare var FormData: { prototype: FormData; new (): FormData };

interface Headers extends Iterable<[string, string]> {
  append(name: string, value: string): void;
  delete(name: string): void;
  get(name: string): string | null;
  getSetCookie(): string[];
  has(name: string): boolean;
  set(name: string, value: string): void;
  forEach(callback: (value: string, name: string, headers: Headers) => void, thisArg?: any): void;
  entries(): IterableIterator<[string, string]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
}
type HeadersInit = Headers | Iterable<readonly [string, string]> | Record<string, string>;
declare var Headers: { prototype: Headers; new (init?: HeadersInit): Headers };

type BodyInit = string | Blob | BufferSource | FormData | URLSearchParams | ReadableStream;

interface Body {
  /** The bytes as they come. Only what is read is fetched. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  readonly bodyUsed: boolean;
  arrayBuffer(): Promise<ArrayBuffer>;
  blob(): Promise<Blob>;
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  formData(): Promise<FormData>;
  json(): Promise<any>;
  text(): Promise<string>;
}

interface RequestInit {
  /** "GET" by default. */
  method?: string;
  headers?: HeadersInit;
  /** A stream is read to its end before the request is sent. */
  body?: BodyInit | null;
  /** "manual" gives the redirect itself. */
  redirect?: "follow" | "error" | "manual";
  /** Gives the request up. */
  signal?: AbortSignal | null;
}
interface Request extends Body {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly redirect: "follow" | "error" | "manual";
  readonly signal: AbortSignal;
  clone(): Request;
}
declare var Request: { prototype: Request; new (input: string | URL | Request, init?: RequestInit): Request };

interface ResponseInit {
  status?: number;
  statusText?: string;
  headers?: HeadersInit;
}
interface Response extends Body {
  readonly status: number;
  /** Whether the status is 200 to 299. */
  readonly ok: boolean;
  readonly statusText: string;
  readonly headers: Headers;
  /** Of the last request, after redirects; a secret in it stays a placeholder. */
  readonly url: string;
  readonly redirected: boolean;
  readonly type: "basic" | "default" | "error";
  clone(): Response;
}
declare var Response: {
  prototype: Response;
  new (body?: BodyInit | null, init?: ResponseInit): Response;
  error(): Response;
  json(data: any, init?: ResponseInit): Response;
  redirect(url: string | URL, status?: number): Response;
};

/**
 * Asks a server of the internet over https or http.
 *
 * Rejects with a TypeError when there is no answer; its `code` says why: "EGRESS_DENIED" (not public, or not allowed
 * by the operator), "INVALID_URL", "FETCH_TIMEOUT", "FETCH_TOO_LARGE", "FETCH_RATE_LIMITED", "FETCH_REDIRECT",
 * "FETCH_FAILED", "SECRET_HOST_FORBIDDEN". Any status, 404 or 500 too, is an answer.
 *
 * Placeholders of {@link secrets} are filled in on the way: in the URL, in headers and in the body, and only for the
 * hosts that a secret is allowed for.
 *
 * ```ts
 * const response = await fetch("https://api.github.com/repos/denoland/deno", {
 *   headers: { authorization: `Bearer ${secrets.get("GITHUB_TOKEN")}` },
 *   signal: AbortSignal.timeout(2000),
 * });
 * const { stargazers_count } = await response.json();
 * ```
 */
declare function fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;

interface QueuingStrategy<T = any> {
  highWaterMark?: number;
  size?(chunk: T): number;
}
interface ReadableStreamDefaultReader<R = any> {
  readonly closed: Promise<void>;
  cancel(reason?: any): Promise<void>;
  read(): Promise<{ done: false; value: R } | { done: true; value: undefined }>;
  releaseLock(): void;
}
interface ReadableStreamDefaultController<R = any> {
  readonly desiredSize: number | null;
  close(): void;
  enqueue(chunk?: R): void;
  error(reason?: any): void;
}
interface UnderlyingSource<R = any> {
  type?: "bytes";
  autoAllocateChunkSize?: number;
  start?(controller: ReadableStreamDefaultController<R>): any;
  pull?(controller: ReadableStreamDefaultController<R>): any;
  cancel?(reason?: any): any;
}
interface StreamPipeOptions {
  preventAbort?: boolean;
  preventCancel?: boolean;
  preventClose?: boolean;
  signal?: AbortSignal;
}
interface ReadableStream<R = any> extends AsyncIterable<R> {
  readonly locked: boolean;
  cancel(reason?: any): Promise<void>;
  getReader(): ReadableStreamDefaultReader<R>;
  pipeThrough<T>(pair: { readable: ReadableStream<T>; writable: WritableStream<R> }, options?: StreamPipeOptions): ReadableStream<T>;
  pipeTo(destination: WritableStream<R>, options?: StreamPipeOptions): Promise<void>;
  tee(): [ReadableStream<R>, ReadableStream<R>];
  values(options?: { preventCancel?: boolean }): AsyncIterableIterator<R>;
}
declare var ReadableStream: {
  prototype: ReadableStream;
  new <R = any>(source?: UnderlyingSource<R>, strategy?: QueuingStrategy<R>): ReadableStream<R>;
  from<R>(iterable: Iterable<R> | AsyncIterable<R>): ReadableStream<R>;
};

interface WritableStreamDefaultController {
  readonly signal: AbortSignal;
  error(reason?: any): void;
}
interface UnderlyingSink<W = any> {
  start?(controller: WritableStreamDefaultController): any;
  write?(chunk: W, controller: WritableStreamDefaultController): any;
  close?(): any;
  abort?(reason?: any): any;
}
interface WritableStreamDefaultWriter<W = any> {
  readonly closed: Promise<void>;
  readonly desiredSize: number | null;
  readonly ready: Promise<void>;
  abort(reason?: any): Promise<void>;
  close(): Promise<void>;
  releaseLock(): void;
  write(chunk?: W): Promise<void>;
}
interface WritableStream<W = any> {
  readonly locked: boolean;
  abort(reason?: any): Promise<void>;
  close(): Promise<void>;
  getWriter(): WritableStreamDefaultWriter<W>;
}
declare var WritableStream: {
  prototype: WritableStream;
  new <W = any>(sink?: UnderlyingSink<W>, strategy?: QueuingStrategy<W>): WritableStream<W>;
};

interface TransformStreamDefaultController<O = any> {
  readonly desiredSize: number | null;
  enqueue(chunk?: O): void;
  error(reason?: any): void;
  terminate(): void;
}
interface Transformer<I = any, O = any> {
  start?(controller: TransformStreamDefaultController<O>): any;
  transform?(chunk: I, controller: TransformStreamDefaultController<O>): any;
  flush?(controller: TransformStreamDefaultController<O>): any;
}
interface TransformStream<I = any, O = any> {
  readonly readable: ReadableStream<O>;
  readonly writable: WritableStream<I>;
}
declare var TransformStream: {
  prototype: TransformStream;
  new <I = any, O = any>(
    transformer?: Transformer<I, O>,
    writableStrategy?: QueuingStrategy<I>,
    readableStrategy?: QueuingStrategy<O>,
  ): TransformStream<I, O>;
};
declare var ByteLengthQueuingStrategy: { new (init: { highWaterMark: number }): QueuingStrategy<ArrayBufferView> };
declare var CountQueuingStrategy: { new (init: { highWaterMark: number }): QueuingStrategy };
declare var TextEncoderStream: { new (): TransformStream<string, Uint8Array<ArrayBuffer>> & { readonly encoding: string } };
declare var TextDecoderStream: {
  new (label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean }): TransformStream<BufferSource, string> & {
    readonly encoding: string;
  };
};

/** A key of {@link SubtleCrypto}. */
interface CryptoKey {
  readonly type: "secret" | "public" | "private";
  readonly algorithm: { readonly name: string; readonly hash?: { readonly name: string }; readonly length?: number };
  readonly extractable: boolean;
  readonly usages: ("sign" | "verify")[];
}
type HashName = "SHA-1" | "SHA-256" | "SHA-384" | "SHA-512";
type HashAlgorithm = HashName | { name: HashName };
type HmacAlgorithm = { name: "HMAC"; hash: HashAlgorithm; length?: number };
type SignatureAlgorithm = "HMAC" | "Ed25519" | { name: "HMAC" | "Ed25519" };

type Ed25519 = "Ed25519" | { name: "Ed25519" };
interface CryptoKeyPair {
  readonly publicKey: CryptoKey;
  readonly privateKey: CryptoKey;
}

/** Digests, HMAC, and signatures of Ed25519. All else is refused with a "NotSupportedError". */
interface SubtleCrypto {
  digest(algorithm: HashAlgorithm, data: BufferSource): Promise<ArrayBuffer>;
  /** A secret for HMAC, or a key of Ed25519: `raw` (32 bytes) or `spki` is a public one, `pkcs8` a private one. */
  importKey(
    format: "raw" | "spki" | "pkcs8",
    key: BufferSource,
    algorithm: HmacAlgorithm | Ed25519,
    extractable: boolean,
    usages: ("sign" | "verify")[],
  ): Promise<CryptoKey>;
  exportKey(format: "raw" | "spki" | "pkcs8", key: CryptoKey): Promise<ArrayBuffer>;
  generateKey(algorithm: HmacAlgorithm, extractable: boolean, usages: ("sign" | "verify")[]): Promise<CryptoKey>;
  generateKey(algorithm: Ed25519, extractable: boolean, usages: ("sign" | "verify")[]): Promise<CryptoKeyPair>;
  sign(algorithm: SignatureAlgorithm, key: CryptoKey, data: BufferSource): Promise<ArrayBuffer>;
  verify(algorithm: SignatureAlgorithm, key: CryptoKey, signature: BufferSource, data: BufferSource): Promise<boolean>;
}
interface Crypto {
  readonly subtle: SubtleCrypto;
  /** Fills an array of whole numbers, of at most 65536 bytes. */
  getRandomValues<T extends ArrayBufferView>(array: T): T;
  /** Version 4. */
  randomUUID(): string;
}
declare var crypto: Crypto;

interface Performance {
  /** Whole milliseconds since the guild's process began; never goes back. */
  now(): number;
  readonly timeOrigin: number;
  toJSON(): any;
}
declare var performance: Performance;

/** A deep copy, of what can be copied; throws a "DataCloneError" for functions and the like. */
declare function structuredClone<T>(value: T, options?: { transfer?: ArrayBuffer[] }): T;

// ----------------------------------------------------------------------------------------------- tests

/**
 * What `*.test.ts` files import; `flora test` runs them. Each test has a guild process of its own, with your bot in it
 * as it is deployed, and a guild of its own with channels, roles and people. Time stands still until the test moves
 * it. Nothing leaves the machine.
 *
 * ```ts
 * import { bot, expect, test } from "flora:test";
 *
 * test("answers !ping", async () => {
 *   const { text } = await bot.message("!ping");
 *   expect(text).toBe("pong");
 * });
 *
 * test("greets by name", async () => {
 *   const greeting = await bot.slash("hello", { name: "Bo" }, { user: "ben" });
 *   expect(greeting.text).toBe("Hello, Bo!");
 *   expect(greeting.ephemeral).toBe(true);
 * });
 * ```
 */
declare module "flora:test" {
  interface TestFunction {
    /** `timeout` in milliseconds of real time; 5000 when it is left out. */
    (name: string, body: () => Awaitable, options?: { timeout?: number }): void;
    /** Runs this one and no test that is not marked so. */
    only(name: string, body: () => Awaitable, options?: { timeout?: number }): void;
    skip(name: string, body: () => Awaitable, options?: { timeout?: number }): void;
    /** Notes that a test is missing. */
    todo(name: string): void;
  }

  interface DescribeFunction {
    (name: string, body: () => void): void;
    only(name: string, body: () => void): void;
    skip(name: string, body: () => void): void;
  }

  /** Declares a test. */
  const test: TestFunction;
  /** The same as {@link test}. */
  const it: TestFunction;
  /** Groups tests; its hooks count for them only. */
  const describe: DescribeFunction;
  /** Runs before each test, in the test's own process. */
  function beforeEach(body: () => Awaitable): void;
  function afterEach(body: () => Awaitable): void;

  /** What a script asked of flora. */
  interface RecordedCall {
    /** `"op_send_message"` */
    op: string;
    /** `"sendMessage"`, as the method of `rest` is called. */
    method: string;
    args: any;
    /** What the script got; null when it got nothing or an error. */
    result: any;
    /** The error that the script got. */
    error: string | null;
    /** In milliseconds of the test's time. */
    timestamp: number;
  }

  /** What the bot did about one step of a test. Everything that it set going is done, except waiting for a timer. */
  interface TestResult {
    /** The text of the bot's first message, as it stands at the end of the step. */
    readonly text: string | undefined;
    /** Whether only the user sees that message. */
    readonly ephemeral: boolean;
    /** The bot's first message, as it stands at the end of the step. */
    readonly message: RawMessage | undefined;
    /** The messages that the bot wrote or edited, as they stand at the end of the step. */
    readonly messages: RawMessage[];
    /** The modal that is open now. */
    readonly modal: RawJson | undefined;
    /** The suggestions of an autocomplete. */
    readonly choices: { name: string; value: string | number }[];
    /** All that the script asked of flora, in order. */
    readonly calls: RecordedCall[];
    /** Of the calls: new messages and first responses. */
    readonly replies: RecordedCall[];
    /** Of the calls: edits of messages and responses. */
    readonly edits: RecordedCall[];
    /** Of the calls: deferred responses. */
    readonly defers: RecordedCall[];
    /** Of the calls: follow-ups. */
    readonly followups: RecordedCall[];
    /** The arguments of the first reply. */
    readonly firstReply: RawJson | undefined;
    /** The arguments of each use of the console. */
    readonly logs: unknown[][];
    /** The same as lines of the log. */
    readonly lines: { level: string; text: string }[];
  }

  /** Who does something, and where. */
  interface Doing {
    /** `"ann"` when it is left out. */
    user?: string;
    /** `"general"` when it is left out; name or id. */
    channel?: string;
  }

  type OptionInput = string | number | boolean | undefined;

  /**
   * People who do things in the test's guild, and the script's answers. `owner` owns the guild, `mod` has the role
   * `moderators`, `ann`, `ben` and `cleo` are members. Channels are `general` and `bots`. Each step resolves when the
   * script is done with it, and rejects with what a handler threw.
   */
  interface TestBot {
    /** Somebody writes a message. */
    message(content: string, options?: Doing): Promise<TestResult>;
    edit(message: RawMessage, content: string, options?: Pick<Doing, "user">): Promise<TestResult>;
    delete(message: RawMessage, options?: Pick<Doing, "user">): Promise<TestResult>;
    react(emoji: string, message: RawMessage, options?: Pick<Doing, "user">): Promise<TestResult>;
    unreact(emoji: string, message: RawMessage, options?: Pick<Doing, "user">): Promise<TestResult>;
    /**
     * Somebody uses a slash command: `bot.slash("counter add", { by: 2 })`. Users, roles and channels by name or id.
     * Rejects where Discord would not let it be used so: no such command, a required option missing, out of bounds.
     */
    slash(name: string, options?: { [name: string]: OptionInput }, doing?: Doing): Promise<TestResult>;
    /** Somebody is typing into an option; see {@link TestResult.choices}. */
    autocomplete(
      name: string,
      option: string,
      typed: string,
      others?: { [name: string]: OptionInput },
    ): Promise<TestResult>;
    /** Somebody uses a command in the menu of a user (by name or id) or of a message. */
    menu(name: string, target: string | RawMessage, doing?: Doing): Promise<TestResult>;
    /** Somebody presses a button or chooses in a select: of `message`, else of the newest one that has it. */
    component(
      customId: string,
      options?: Doing & { message?: RawMessage; values?: readonly string[] },
    ): Promise<TestResult>;
    /** Somebody fills the modal that is open and sends it. */
    modal(customId: string, fields?: { [customId: string]: OptionInput | readonly string[] }, doing?: Doing): Promise<TestResult>;
    /** Somebody joins the guild; a new name makes a new person. */
    join(name: string, options?: { bot?: boolean }): Promise<TestResult>;
    leave(name: string): Promise<TestResult>;
    /** Any event, by flora's or Discord's name, with a payload as Discord sends it. The guild's id is filled in. */
    event(name: string, payload?: RawJson): Promise<TestResult>;
    /** Runs a cron job now. */
    cron(name: string): Promise<TestResult>;
    /** Moves time forward; timers, cron jobs and tasks that are due run, each at its time. */
    advance(milliseconds: number): Promise<TestResult>;
    /**
     * Answers what the script asks in place of the test's guild, until the end of the test: with a value, with what a
     * function makes of the arguments, or with an error.
     *
     * ```ts
     * bot.stub("banMember", discordError(403, 50013, "Missing Permissions"));
     * bot.stub("fetchMember", ({ userId }) => ({ user: { id: userId }, roles: [] }));
     * ```
     */
    stub(method: string, answer: unknown): void;
    unstub(method?: string): void;
    /**
     * Answers the script's `fetch` of URLs that begin so, or match, and what attachments by URL get: with a `Response`,
     * a text, a value as JSON, an error, or what a function makes of the request. Without an answer `fetch` rejects.
     *
     * ```ts
     * bot.fetch("https://api.github.com/repos/", { full_name: "a/b", stargazers_count: 5 });
     * bot.fetch(/\/issues\/404$/, () => new Response("{}", { status: 404 }));
     * ```
     */
    fetch(url: string | RegExp, answer: unknown): void;
    /** What `secrets.get` gives; null takes it away. */
    secret(name: string, value: string | null): void;
    /** A new role; resolves to its id. */
    addRole(name: string, options?: { permissions?: Permissions }): Promise<string>;
    addChannel(name: string): Promise<string>;
    /** Gives a member a role; both by name or id. */
    grant(user: string, role: string): Promise<void>;
    /** The messages of a channel, oldest first. */
    messages(channel?: string): Promise<RawMessage[]>;
    /** All that the script asked of flora since the test began. */
    calls(): Promise<RecordedCall[]>;
    readonly guildId: string;
    /** Ids by name, of those that were there at the beginning. */
    readonly users: { readonly [name: string]: string };
    readonly channels: { readonly [name: string]: string };
    readonly roles: { readonly [name: string]: string };
  }
  const bot: TestBot;

  /** A {@link DiscordHttpError} to answer with. */
  function discordError(status: number, discordCode: number, message: string): DiscordHttpError;

  type ErrorMatch = string | RegExp | (new (...args: any[]) => Error);

  interface Matchers<R> {
    toBe(expected: unknown): R;
    /** The same content; fields that are undefined count as absent. */
    toEqual(expected: unknown): R;
    /** What `expected` names is so; other fields do not matter. */
    toMatchObject(expected: object): R;
    /** A part of a text, or an element of a list. */
    toContain(item: unknown): R;
    toMatch(expected: string | RegExp): R;
    toHaveLength(length: number): R;
    toBeDefined(): R;
    toBeUndefined(): R;
    toBeNull(): R;
    toBeTruthy(): R;
    toBeFalsy(): R;
    toBeInstanceOf(ctor: new (...args: any[]) => unknown): R;
    toBeGreaterThan(bound: number): R;
    toBeGreaterThanOrEqual(bound: number): R;
    toBeLessThan(bound: number): R;
    toBeLessThanOrEqual(bound: number): R;
    toBeCloseTo(expected: number, digits?: number): R;
    /** A function throws: an error of this class, or with this in its message. */
    toThrow(expected?: ErrorMatch): R;
  }

  interface Expectation extends Matchers<void> {
    readonly not: Matchers<void>;
    /** About what a promise resolves to. */
    readonly resolves: Matchers<Promise<void>> & { readonly not: Matchers<Promise<void>> };
    /** About what a promise rejects with: `await expect(bot.message("!boom")).rejects.toThrow("boom")`. */
    readonly rejects: Matchers<Promise<void>> & { readonly not: Matchers<Promise<void>> };
  }

  interface Expect {
    (actual: unknown): Expectation;
    any(ctor: Function): any;
    anything(): any;
    stringContaining(part: string): any;
    stringMatching(expression: RegExp): any;
    objectContaining(part: object): any;
    arrayContaining(items: readonly unknown[]): any;
  }
  /** `expect(text).toBe("pong")`; fails the test where it does not hold. */
  const expect: Expect;

  type Parts = { [key: string]: any };

  /**
   * Tests a piece of a bot by itself: what `setup` registers is all that runs, events are forged, and what the script
   * asks of Discord is written down and answered with null or with {@link TestHarness.mockResponse}. `kv` is real.
   *
   * ```ts
   * const harness = new TestHarness();
   * await harness.setup(() => createBot({ commands: [ping] }));
   * const { firstReply } = await harness.message({ content: "!ping" });
   * ```
   */
  class TestHarness {
    constructor(options?: { guildId?: string; secrets?: { readonly [name: string]: string } });
    readonly kv: Kv;
    /** Forgets every handler and command, then calls `register`. */
    setup(register: () => Awaitable): Promise<void>;
    /** As new: without handlers, mocks, secrets and recorded calls. */
    reset(): void;
    teardown(): void;
    /** An event by its name, with a payload in the shape of `ctx.msg`. */
    dispatch(event: string, payload?: Parts): Promise<TestResult>;
    message(partial?: Parts): Promise<TestResult>;
    interaction(name: string, options?: Parts, partial?: Parts): Promise<TestResult>;
    componentInteraction(customId: string, partial?: Parts): Promise<TestResult>;
    modalSubmit(customId: string, fields?: Parts, partial?: Parts): Promise<TestResult>;
    reaction(partial?: Parts): Promise<TestResult>;
    ready(partial?: Parts): Promise<TestResult>;
    triggerCron(name: string): Promise<TestResult>;
    /** What an op answers: a value, or a function of its arguments. */
    mockResponse(op: string, answer: unknown): void;
    setSecret(name: string, value: string): void;
    /** Of all dispatches since the last `reset`. */
    allCalls(): RecordedCall[];
  }

  /** Payloads in the shape of `ctx.msg`, with `partial` merged in. */
  function makeUser(partial?: Parts): EventUser;
  function makeMember(partial?: Parts): EventMember;
  function makeMessage(partial?: Parts): EventMessage;
  function makeInteraction(name: string, options?: Parts, partial?: Parts): EventInteractionCreate;
  function makeComponentInteraction(customId: string, partial?: Parts): EventComponentInteraction;
  function makeModalSubmit(customId: string, fields?: Parts, partial?: Parts): EventModalSubmit;
  function makeReaction(partial?: Parts): EventReaction;
  function makeReady(partial?: Parts): EventReady;
}
