import { Object } from "./intrinsics";

/** https://discord.com/developers/docs/components/reference#component-object-component-types */
export const ComponentType = Object.freeze({
  ActionRow: 1,
  Button: 2,
  StringSelect: 3,
  InputText: 4,
  UserSelect: 5,
  RoleSelect: 6,
  MentionableSelect: 7,
  ChannelSelect: 8,
  Section: 9,
  TextDisplay: 10,
  Thumbnail: 11,
  MediaGallery: 12,
  File: 13,
  Separator: 14,
  Container: 17,
  Label: 18,
  FileUpload: 19,
} as const);

/** Link and premium buttons have no constant: `setUrl` and `setSkuId` make them. */
export const ButtonStyles = Object.freeze({ Primary: 1, Secondary: 2, Success: 3, Danger: 4 } as const);
export const ButtonStyle = ButtonStyles;

export const InputTextStyles = Object.freeze({ Short: 1, Paragraph: 2 } as const);
export const InputTextStyle = InputTextStyles;

/** https://discord.com/developers/docs/resources/message#message-object-message-flags */
export const MessageFlags = Object.freeze({
  CROSSPOSTED: 1,
  IS_CROSSPOST: 2,
  SUPPRESS_EMBEDS: 4,
  SOURCE_MESSAGE_DELETED: 8,
  URGENT: 16,
  HAS_THREAD: 32,
  EPHEMERAL: 64,
  LOADING: 128,
  FAILED_TO_MENTION_SOME_ROLES_IN_THREAD: 256,
  SUPPRESS_NOTIFICATIONS: 4096,
  IS_VOICE_MESSAGE: 8192,
  IS_COMPONENTS_V2: 32768,
} as const);
