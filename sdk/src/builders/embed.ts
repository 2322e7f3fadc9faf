import { integer, list, MAX_COLOR, MAX_URL, text } from "./limits";

/** https://discord.com/developers/docs/resources/message#embed-object-embed-limits */
const MAX_TITLE = 256;
const MAX_DESCRIPTION = 4096;
const MAX_FOOTER = 2048;
const MAX_AUTHOR = 256;
const MAX_FIELDS = 25;
const MAX_FIELD_NAME = 256;
const MAX_FIELD_VALUE = 1024;

export class EmbedBuilder {
  readonly #data: Embed;

  constructor(initial: Embed = {}) {
    this.#data = { ...initial };
  }

  setTitle(title: string): this {
    this.#data.title = text("embed.title", title, MAX_TITLE);
    return this;
  }

  setDescription(description: string): this {
    this.#data.description = text("embed.description", description, MAX_DESCRIPTION);
    return this;
  }

  setUrl(url: string): this {
    this.#data.url = text("embed.url", url, MAX_URL);
    return this;
  }

  setColor(color: number): this {
    this.#data.color = integer("embed.color", color, 0, MAX_COLOR);
    return this;
  }

  setTimestamp(timestamp: string): this {
    this.#data.timestamp = text("embed.timestamp", timestamp, 64);
    return this;
  }

  setFooter(footer: string, iconUrl?: string): this {
    this.#data.footer = { text: text("embed.footer.text", footer, MAX_FOOTER), ...optional("iconUrl", iconUrl) };
    return this;
  }

  setImage(url: string): this {
    this.#data.image = { url: text("embed.image.url", url, MAX_URL) };
    return this;
  }

  setThumbnail(url: string): this {
    this.#data.thumbnail = { url: text("embed.thumbnail.url", url, MAX_URL) };
    return this;
  }

  setAuthor(name?: string, options: { url?: string; iconUrl?: string } = {}): this {
    if (name !== undefined) text("embed.author.name", name, MAX_AUTHOR);
    this.#data.author = {
      ...optional("name", name),
      ...optional("url", options.url),
      ...optional("iconUrl", options.iconUrl),
    };
    return this;
  }

  addField(name: string, value: string, inline = false): this {
    return this.addFields([{ name, value, inline }]);
  }

  addFields(fields: readonly EmbedField[]): this {
    return this.setFields([...(this.#data.fields ?? []), ...fields]);
  }

  setFields(fields: readonly EmbedField[]): this {
    this.#data.fields = list("embed.fields", fields, MAX_FIELDS).map(checkedField);
    return this;
  }

  toJSON(): Embed {
    return { ...this.#data };
  }
}

export function embed(initial?: Embed): EmbedBuilder {
  return new EmbedBuilder(initial);
}

function checkedField(field: EmbedField): EmbedField {
  text("embed.fields[].name", field.name, MAX_FIELD_NAME);
  text("embed.fields[].value", field.value, MAX_FIELD_VALUE);
  return field;
}

function optional<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: string });
}
