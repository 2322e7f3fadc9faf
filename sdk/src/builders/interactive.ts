import { ComponentType } from "../constants";
import { childrenOf, Component, customId } from "./component";
import { integer, list, MAX_URL, text } from "./limits";

/* What a user can press, choose from or write in. https://discord.com/developers/docs/components/reference */

const LINK = 5;
const PREMIUM = 6;
const MAX_BUTTONS = 5;
const MAX_OPTIONS = 25;
const MAX_LABEL = 80;
const MAX_PLACEHOLDER = 150;
const MAX_OPTION_TEXT = 100;
const MAX_INPUT = 4000;
const MAX_INPUT_PLACEHOLDER = 100;
const MAX_FILES = 10;

export class ActionRowBuilder extends Component {
  constructor() {
    super(ComponentType.ActionRow, { components: [] });
  }

  addComponents(...components: (ComponentLike | readonly ComponentLike[])[]): this {
    return this.#put([...(this.data.components as ComponentJson[]), ...childrenOf(components)]);
  }

  setComponents(components: readonly ComponentLike[]): this {
    return this.#put(childrenOf(components));
  }

  #put(components: ComponentJson[]): this {
    return this.set("components", list("actionRow.components", components, MAX_BUTTONS));
  }
}

export class ButtonBuilder extends Component {
  constructor() {
    super(ComponentType.Button);
  }

  setStyle(style: number): this {
    return this.set("style", integer("button.style", style, 1, PREMIUM));
  }

  setCustomId(id: string): this {
    return this.set("custom_id", customId(id));
  }

  setUrl(url: string): this {
    return this.set("style", LINK).set("url", text("button.url", url, MAX_URL, 1));
  }

  setSkuId(skuId: string): this {
    return this.set("style", PREMIUM).set("sku_id", skuId);
  }

  setLabel(label: string): this {
    return this.set("label", text("button.label", label, MAX_LABEL));
  }

  setEmoji(emoji: string | PartialEmoji): this {
    return this.set("emoji", typeof emoji === "string" ? parsedEmoji(emoji) : emoji);
  }

  setDisabled(disabled = true): this {
    return this.set("disabled", disabled);
  }
}

/** A character, or a custom emoji as it is written in a message. */
function parsedEmoji(emoji: string): PartialEmoji {
  const [, animated, name, id] = /^<(a?):(\w+):(\d+)>$/.exec(emoji) ?? [];
  return name === undefined || id === undefined ? { name: emoji } : { id, name, animated: animated === "a" };
}

export abstract class SelectMenuBuilderBase extends Component {
  protected constructor(type: number, id: string) {
    super(type, { custom_id: customId(id) });
  }

  setCustomId(id: string): this {
    return this.set("custom_id", customId(id));
  }

  setPlaceholder(placeholder: string): this {
    return this.set("placeholder", text("select.placeholder", placeholder, MAX_PLACEHOLDER));
  }

  setMinValues(min: number): this {
    return this.set("min_values", integer("select.minValues", min, 0, MAX_OPTIONS));
  }

  setMaxValues(max: number): this {
    return this.set("max_values", integer("select.maxValues", max, 1, MAX_OPTIONS));
  }

  setRequired(required = true): this {
    return this.set("required", required);
  }

  setDisabled(disabled = true): this {
    return this.set("disabled", disabled);
  }

  setChannelTypes(types: readonly number[]): this {
    return this.set("channel_types", [...types]);
  }

  setDefaultValues(values: readonly SelectDefaultValue[]): this {
    return this.set("default_values", list("select.defaultValues", values, MAX_OPTIONS));
  }

  setDefaultUsers(ids: readonly string[]): this {
    return this.set("default_users", list("select.defaultUsers", ids, MAX_OPTIONS));
  }

  setDefaultRoles(ids: readonly string[]): this {
    return this.set("default_roles", list("select.defaultRoles", ids, MAX_OPTIONS));
  }

  setDefaultChannels(ids: readonly string[]): this {
    return this.set("default_channels", list("select.defaultChannels", ids, MAX_OPTIONS));
  }

  addDefaultUser(id: string): this {
    return this.#append("default_users", id);
  }

  addDefaultRole(id: string): this {
    return this.#append("default_roles", id);
  }

  addDefaultChannel(id: string): this {
    return this.#append("default_channels", id);
  }

  addDefaultValue(id: string, type: SelectDefaultValue["type"]): this {
    return this.#append("default_values", { id, type });
  }

  #append(key: string, value: unknown): this {
    const present = (this.data[key] ?? []) as unknown[];
    return this.set(key, list(`select.${key}`, [...present, value], MAX_OPTIONS));
  }
}

export class StringSelectMenuBuilder extends SelectMenuBuilderBase {
  constructor(id: string) {
    super(ComponentType.StringSelect, id);
    this.set("options", []);
  }

  setOptions(options: readonly SelectOption[]): this {
    const checked = list("select.options", options, MAX_OPTIONS);
    for (const option of checked) {
      text("select.options[].label", option.label, MAX_OPTION_TEXT, 1);
      text("select.options[].value", option.value, MAX_OPTION_TEXT, 1);
    }
    return this.set("options", checked);
  }

  addOptions(...options: (SelectOption | readonly SelectOption[])[]): this {
    return this.setOptions([...(this.data.options as SelectOption[]), ...(options.flat() as SelectOption[])]);
  }
}

export class UserSelectMenuBuilder extends SelectMenuBuilderBase {
  constructor(id: string) {
    super(ComponentType.UserSelect, id);
  }
}

export class RoleSelectMenuBuilder extends SelectMenuBuilderBase {
  constructor(id: string) {
    super(ComponentType.RoleSelect, id);
  }
}

export class MentionableSelectMenuBuilder extends SelectMenuBuilderBase {
  constructor(id: string) {
    super(ComponentType.MentionableSelect, id);
  }
}

export class ChannelSelectMenuBuilder extends SelectMenuBuilderBase {
  constructor(id: string) {
    super(ComponentType.ChannelSelect, id);
  }
}

export class InputTextBuilder extends Component {
  constructor(id: string) {
    super(ComponentType.InputText, { custom_id: customId(id) });
  }

  setCustomId(id: string): this {
    return this.set("custom_id", customId(id));
  }

  setStyle(style: number): this {
    return this.set("style", integer("inputText.style", style, 1, 2));
  }

  setMinLength(min: number): this {
    return this.set("min_length", integer("inputText.minLength", min, 0, MAX_INPUT));
  }

  setMaxLength(max: number): this {
    return this.set("max_length", integer("inputText.maxLength", max, 1, MAX_INPUT));
  }

  setRequired(required = true): this {
    return this.set("required", required);
  }

  setValue(value: string): this {
    return this.set("value", text("inputText.value", value, MAX_INPUT));
  }

  setPlaceholder(placeholder: string): this {
    return this.set("placeholder", text("inputText.placeholder", placeholder, MAX_INPUT_PLACEHOLDER));
  }
}

export class FileUploadBuilder extends Component {
  constructor(id: string) {
    super(ComponentType.FileUpload, { custom_id: customId(id) });
  }

  setCustomId(id: string): this {
    return this.set("custom_id", customId(id));
  }

  setMinValues(min: number): this {
    return this.set("min_values", integer("fileUpload.minValues", min, 0, MAX_FILES));
  }

  setMaxValues(max: number): this {
    return this.set("max_values", integer("fileUpload.maxValues", max, 1, MAX_FILES));
  }

  setRequired(required = true): this {
    return this.set("required", required);
  }
}

export const actionRow = (): ActionRowBuilder => new ActionRowBuilder();
export const button = (): ButtonBuilder => new ButtonBuilder();
export const stringSelect = (id: string): StringSelectMenuBuilder => new StringSelectMenuBuilder(id);
export const userSelect = (id: string): UserSelectMenuBuilder => new UserSelectMenuBuilder(id);
export const roleSelect = (id: string): RoleSelectMenuBuilder => new RoleSelectMenuBuilder(id);
export const mentionableSelect = (id: string): MentionableSelectMenuBuilder => new MentionableSelectMenuBuilder(id);
export const channelSelect = (id: string): ChannelSelectMenuBuilder => new ChannelSelectMenuBuilder(id);
export const inputText = (id: string): InputTextBuilder => new InputTextBuilder(id);
export const fileUpload = (id: string): FileUploadBuilder => new FileUploadBuilder(id);
