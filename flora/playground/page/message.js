// One message as DOM: byline, content, embeds, components, reactions.

import { element, markup } from "./markup.js";

const COLORS = ["#5b6cf0", "#23a55a", "#c2703d", "#b0489b", "#2f8fa8", "#a8862f"];
const EPHEMERAL = 64;
const LOADING = 128;
const QUICK_REACTIONS = ["👍", "❤️", "🎉"];
const GROUP_WITHIN = 7 * 60 * 1000;

// `context` gives names (userName, roleName, channelName, memberOf), the viewer's id and the actions.
export function renderMessage(message, previous, context) {
  const item = element("li", {
    class: classes(message, previous, context),
    id: `message-${message.id}`,
    "data-testid": "message",
    "data-message-id": message.id,
    "data-author": message.author.username,
  });
  const name = context.displayName(message);
  item.append(element("div", { class: "avatar", style: `background:${color(message.author.id)}`, "aria-hidden": "true" }, initial(name)));
  item.append(...contextLine(message, context));
  item.append(byline(message, name, context));
  if (message.flags & LOADING) {
    item.append(element("div", { class: "content", "data-testid": "content" }, `${name} is thinking…`));
  } else if (message.content) {
    const content = element("div", { class: "content", "data-testid": "content" }, ...markup(message.content, context));
    if (message.edited_timestamp) content.append(" ", element("span", { class: "edited" }, "(edited)"));
    item.append(content);
  }
  for (const each of message.attachments) item.append(attachment(each));
  for (const each of message.embeds) item.append(embed(each, context));
  for (const each of message.components) item.append(component(each, message, context));
  if (message.reactions?.length) item.append(reactions(message, context));
  if (message.flags & EPHEMERAL) item.append(forYou(message, context));
  item.append(actions(message, context));
  return item;
}

function classes(message, previous, context) {
  const list = ["message"];
  const follows = previous && previous.author.id === message.author.id && message.type === 0 && previous.type === 0
    && new Date(message.timestamp) - new Date(previous.timestamp) < GROUP_WITHIN;
  if (follows) list.push("follows");
  if (message.flags & EPHEMERAL) list.push("ephemeral");
  if (message.flags & LOADING) list.push("loading");
  if (message.mention_everyone || message.mentions.some((user) => user.id === context.viewerId)) list.push("pings");
  return list.join(" ");
}

function contextLine(message, context) {
  if (message.interaction) {
    const who = context.userName(message.interaction.user.id);
    return [element("div", { class: "context", "data-testid": "context" }, `↱ ${who} used /${message.interaction.name}`)];
  }
  if (message.message_reference && "referenced_message" in message) {
    const target = message.referenced_message;
    const text = target ? `${context.userName(target.author.id) || target.author.username}: ${target.content || "(see message)"}` : "Original message was deleted";
    return [element("div", { class: "context", "data-testid": "context" }, `↱ ${text}`)];
  }
  return [];
}

function byline(message, name, context) {
  const parts = [element("span", { class: "author", style: context.nameStyle(message.author.id), "data-testid": "author" }, name)];
  if (message.author.bot) parts.push(element("span", { class: "app" }, "APP"));
  const date = new Date(message.timestamp);
  parts.push(element("time", { datetime: message.timestamp, title: date.toLocaleString() }, date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })));
  return element("div", { class: "byline" }, ...parts);
}

function forYou(message, context) {
  return element("div", { class: "for-you", "data-testid": "ephemeral" }, "Only you can see this ·",
    element("button", { type: "button", class: "link", onclick: () => context.dismiss(message) }, "Dismiss message"));
}

function attachment(file) {
  const label = `${file.filename} (${size(file.size)})`;
  const body = element("div", { class: "attachment", "data-testid": "attachment" });
  if (/^image\/(png|jpeg|gif|webp)/.test(file.content_type ?? "")) {
    body.append(element("img", { src: file.url, alt: file.description ?? file.filename }));
  } else {
    body.append("📄 ");
  }
  body.append(element("a", { href: file.url, target: "_blank", rel: "noreferrer noopener" }, label));
  return body;
}

function embed(data, context) {
  const box = element("article", { class: "embed", "data-testid": "embed" });
  if (data.color !== undefined) box.style.setProperty("--embed", hex(data.color));
  if (data.author) box.append(element("div", { class: "embed-author" }, image(data.author.icon_url, ""), maybeLink(data.author.url, data.author.name)));
  if (data.title) box.append(element("div", { class: "embed-title" }, maybeLink(data.url, ...markup(data.title, context))));
  if (data.description) box.append(element("div", { class: "embed-body" }, ...markup(data.description, context)));
  if (data.fields?.length) {
    box.append(element("div", { class: "embed-fields" }, ...data.fields.map((field) =>
      element("div", { class: field.inline ? "embed-field inline" : "embed-field" },
        element("b", {}, ...markup(field.name, context)), element("span", { class: "embed-body" }, ...markup(field.value, context))))));
  }
  if (data.thumbnail) box.append(image(data.thumbnail.url, "thumbnail", "embed-thumbnail"));
  if (data.image) box.append(image(data.image.url, "image", "embed-image"));
  if (data.footer || data.timestamp) {
    const stamp = data.timestamp ? new Date(data.timestamp).toLocaleString() : "";
    const text = [data.footer?.text, stamp].filter(Boolean).join(" • ");
    box.append(element("div", { class: "embed-footer" }, image(data.footer?.icon_url, ""), text));
  }
  return box;
}

const BUTTON_STYLES = { 1: "primary", 2: "secondary", 3: "success", 4: "danger", 5: "link-button", 6: "primary" };

function component(data, message, context) {
  switch (data.type) {
    case 1: return element("div", { class: "row", role: "group" }, ...data.components.map((each) => component(each, message, context)));
    case 2: return button(data, message, context);
    case 3: case 5: case 6: case 7: case 8: return select(data, message, context);
    case 9: return element("div", { class: "section" },
      element("div", {}, ...data.components.map((each) => component(each, message, context))), component(data.accessory, message, context));
    case 10: return element("div", { class: "text-display", "data-testid": "text-display" }, ...markup(data.content, context));
    case 11: return image(data.media.url, data.description ?? "", "embed-thumbnail") ?? element("span");
    case 12: return element("div", { class: "row" }, ...data.items.map((item) => image(item.media.url, item.description ?? "", "embed-image")));
    case 13: return element("div", { class: "attachment" }, maybeLink(data.file.url, data.file.url));
    case 14: return element("hr", { class: "separator" });
    case 17: {
      const box = element("div", { class: "container", "data-testid": "container" }, ...data.components.map((each) => component(each, message, context)));
      if (data.accent_color !== null && data.accent_color !== undefined) box.style.setProperty("--embed", hex(data.accent_color));
      return box;
    }
    default: return element("div", { class: "edited" }, `(component of type ${data.type})`);
  }
}

function button(data, message, context) {
  const label = [data.emoji?.name, data.label].filter(Boolean).join(" ");
  const kind = `button ${BUTTON_STYLES[data.style] ?? ""}`;
  if (data.style === 5) {
    return element("a", { class: kind, href: data.url, target: "_blank", rel: "noreferrer noopener" }, `${label} ↗`);
  }
  return element("button", {
    type: "button", class: kind, disabled: data.disabled, "data-testid": `component-${data.custom_id}`,
    onclick: () => context.click(message, data.custom_id),
  }, label);
}

function select(data, message, context) {
  const options = data.type === 3 ? data.options : context.entities(data.type, data.channel_types);
  const several = data.max_values > 1;
  const chooser = element("select", {
    class: "select", disabled: data.disabled, multiple: several, size: several ? Math.min(options.length, 6) : null,
    "data-testid": `component-${data.custom_id}`, "aria-label": data.placeholder ?? "Choose",
  });
  if (!several) chooser.append(element("option", { value: "" }, data.placeholder ?? "Choose…"));
  for (const option of options) {
    const text = [option.emoji?.name, option.label, option.description && `– ${option.description}`].filter(Boolean).join(" ");
    chooser.append(element("option", { value: option.value, selected: option.default }, text));
  }
  const send = () => context.click(message, data.custom_id, [...chooser.selectedOptions].map((each) => each.value).filter(Boolean));
  if (!several) {
    chooser.addEventListener("change", send);
    return chooser;
  }
  return element("div", { class: "select-box" }, chooser,
    element("button", { type: "button", class: "button", "data-testid": `send-${data.custom_id}`, onclick: send }, "Choose"));
}

function reactions(message, context) {
  return element("div", { class: "reactions", "data-testid": "reactions" }, ...message.reactions.map((each) => {
    const key = each.emoji.id ? `${each.emoji.name}:${each.emoji.id}` : each.emoji.name;
    return element("button", {
      type: "button", class: each.me ? "reaction me" : "reaction", "aria-pressed": String(each.me),
      onclick: () => context.react(message, key, each.me),
    }, each.emoji.id ? `:${each.emoji.name}:` : each.emoji.name, element("span", {}, String(each.count)));
  }));
}

function actions(message, context) {
  const bar = element("div", { class: "actions" });
  if (!(message.flags & EPHEMERAL)) {
    for (const emoji of QUICK_REACTIONS) {
      bar.append(element("button", { type: "button", "aria-label": `React with ${emoji}`, onclick: () => context.react(message, emoji, false) }, emoji));
    }
    for (const command of context.messageCommands()) {
      bar.append(element("button", { type: "button", title: command.name, "aria-label": `Apps: ${command.name}`, onclick: () => context.apply(command, message) }, "⚙"));
    }
    if (message.author.id === context.viewerId) {
      bar.append(element("button", { type: "button", "aria-label": "Delete message", onclick: () => context.remove(message) }, "✕"));
    }
  }
  return bar;
}

function image(url, alt, kind = "") {
  if (!/^https?:/.test(url ?? "")) return null;
  return element("img", { src: url, alt, class: kind, loading: "lazy", referrerpolicy: "no-referrer" });
}

function maybeLink(url, ...children) {
  if (!/^https?:/.test(url ?? "")) return element("span", {}, ...children);
  return element("a", { href: url, target: "_blank", rel: "noreferrer noopener" }, ...children);
}

const hex = (number) => `#${number.toString(16).padStart(6, "0")}`;
const initial = (name) => [...name][0]?.toUpperCase() ?? "?";
const color = (id) => COLORS[Number(BigInt(id) >> 22n) % COLORS.length];
const size = (bytes) => (bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} KB`);
