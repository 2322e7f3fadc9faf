import { ComponentType } from "../constants";
import { invalid } from "../errors";
import { childOf, childrenOf, Component } from "./component";
import { integer, list, MAX_COLOR, MAX_URL, text } from "./limits";

/* What arranges and shows. https://discord.com/developers/docs/components/reference */

const MAX_TEXT = 4000;
const MAX_SECTION_TEXTS = 3;
const MAX_GALLERY_ITEMS = 10;
const MAX_MEDIA_DESCRIPTION = 1024;
/** A message holds 40 components, nested ones included. */
const MAX_CHILDREN = 40;
const MAX_LABEL = 45;
const MAX_LABEL_DESCRIPTION = 100;

export class TextDisplayBuilder extends Component {
  constructor(content: string) {
    super(ComponentType.TextDisplay);
    this.setContent(content);
  }

  setContent(content: string): this {
    return this.set("content", text("textDisplay.content", content, MAX_TEXT));
  }
}

export class ThumbnailBuilder extends Component {
  constructor(url: string) {
    super(ComponentType.Thumbnail);
    this.setUrl(url);
  }

  setUrl(url: string): this {
    return this.set("media", { url: text("thumbnail.url", url, MAX_URL) });
  }

  setDescription(description: string): this {
    return this.set("description", text("thumbnail.description", description, MAX_MEDIA_DESCRIPTION));
  }

  setSpoiler(spoiler = true): this {
    return this.set("spoiler", spoiler);
  }
}

export class SectionBuilder extends Component {
  constructor() {
    super(ComponentType.Section, { components: [], accessory: null });
  }

  addComponents(...components: (ComponentLike | readonly ComponentLike[])[]): this {
    return this.setComponents([...(this.data.components as ComponentJson[]), ...childrenOf(components)]);
  }

  setComponents(components: readonly ComponentLike[]): this {
    return this.set("components", list("section.components", childrenOf(components), MAX_SECTION_TEXTS));
  }

  setAccessory(accessory: ComponentLike): this {
    return this.set("accessory", childOf(accessory));
  }
}

export class MediaGalleryBuilder extends Component {
  constructor() {
    super(ComponentType.MediaGallery, { items: [] });
  }

  addItem(url: string, options: { description?: string; spoiler?: boolean } = {}): this {
    const item = { media: { url: text("mediaGallery.url", url, MAX_URL) }, ...options };
    return this.setItems([...(this.data.items as MediaItem[]), item]);
  }

  setItems(items: readonly MediaItem[]): this {
    return this.set("items", list("mediaGallery.items", items, MAX_GALLERY_ITEMS));
  }
}

export class FileBuilder extends Component {
  constructor(url: string) {
    super(ComponentType.File);
    this.setUrl(url);
  }

  setUrl(url: string): this {
    return this.set("file", { url: text("file.url", url, MAX_URL) });
  }

  setSpoiler(spoiler = true): this {
    return this.set("spoiler", spoiler);
  }
}

export class SeparatorBuilder extends Component {
  constructor(divider = true) {
    super(ComponentType.Separator, { divider });
  }

  setDivider(divider = true): this {
    return this.set("divider", divider);
  }

  setSpacing(spacing: 1 | 2 | "small" | "large"): this {
    if (![1, 2, "small", "large"].includes(spacing)) {
      throw invalid("separator.spacing", `1, 2, "small" or "large" is needed, not ${spacing}`);
    }
    return this.set("spacing", spacing);
  }
}

export class ContainerBuilder extends Component {
  constructor() {
    super(ComponentType.Container, { components: [] });
  }

  addComponents(...components: (ComponentLike | readonly ComponentLike[])[]): this {
    return this.setComponents([...(this.data.components as ComponentJson[]), ...childrenOf(components)]);
  }

  setComponents(components: readonly ComponentLike[]): this {
    return this.set("components", list("container.components", childrenOf(components), MAX_CHILDREN));
  }

  setAccentColor(color: number): this {
    return this.set("accent_color", integer("container.accentColor", color, 0, MAX_COLOR));
  }

  setSpoiler(spoiler = true): this {
    return this.set("spoiler", spoiler);
  }
}

export class LabelBuilder extends Component {
  constructor(label: string) {
    super(ComponentType.Label);
    this.setLabel(label).set("component", null);
  }

  setLabel(label: string): this {
    return this.set("label", text("label.label", label, MAX_LABEL));
  }

  setDescription(description: string): this {
    return this.set("description", text("label.description", description, MAX_LABEL_DESCRIPTION));
  }

  setComponent(component: ComponentLike): this {
    return this.set("component", childOf(component));
  }
}

export const textDisplay = (content: string): TextDisplayBuilder => new TextDisplayBuilder(content);
export const thumbnail = (url: string): ThumbnailBuilder => new ThumbnailBuilder(url);
export const section = (): SectionBuilder => new SectionBuilder();
export const mediaGallery = (): MediaGalleryBuilder => new MediaGalleryBuilder();
export const file = (url: string): FileBuilder => new FileBuilder(url);
export const separator = (divider = true): SeparatorBuilder => new SeparatorBuilder(divider);
export const container = (): ContainerBuilder => new ContainerBuilder();
export const label = (labelText: string): LabelBuilder => new LabelBuilder(labelText);
