// Discord's markdown, the part that bots use, as DOM nodes. Text becomes text nodes only, so nothing a
// script or a person writes is ever taken for HTML.

const INLINE = [
  [/^`([^`\n]+)`/, (m) => element("code", {}, m[1])],
  [/^\*\*\*(.+?)\*\*\*/s, (m, x) => element("strong", {}, element("em", {}, ...inline(m[1], x)))],
  [/^\*\*(.+?)\*\*/s, (m, x) => element("strong", {}, ...inline(m[1], x))],
  [/^__(.+?)__/s, (m, x) => element("u", {}, ...inline(m[1], x))],
  [/^\*(\S(?:.*?\S)?)\*/s, (m, x) => element("em", {}, ...inline(m[1], x))],
  [/^_(\S(?:.*?\S)?)_(?!\w)/s, (m, x) => element("em", {}, ...inline(m[1], x))],
  [/^~~(.+?)~~/s, (m, x) => element("s", {}, ...inline(m[1], x))],
  [/^\|\|(.+?)\|\|/s, (m, x) => spoiler(inline(m[1], x))],
  [/^\[([^\]\n]+)\]\((https?:\/\/[^\s)]+)\)/, (m, x) => link(m[2], inline(m[1], x))],
  [/^<(https?:\/\/[^\s>]+)>/, (m) => link(m[1], [m[1]])],
  [/^https?:\/\/[^\s<>"]+[^\s<>"'.,;:!?)\]]/, (m) => link(m[0], [m[0]])],
  [/^<@!?(\d+)>/, (m, x) => mention("@" + x.userName(m[1]))],
  [/^<@&(\d+)>/, (m, x) => mention("@" + x.roleName(m[1]))],
  [/^<#(\d+)>/, (m, x) => mention("#" + x.channelName(m[1]))],
  [/^<\/([^:>]+):\d+>/, (m) => mention("/" + m[1])],
  [/^<t:(-?\d{1,13})(?::([tTdDfFR]))?>/, (m) => stamp(Number(m[1]), m[2])],
  [/^@(everyone|here)/, (m) => mention("@" + m[1])],
  [/^\\([*_`~|\\])/, (m) => document.createTextNode(m[1])],
];

export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "class") node.className = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function markup(text, names) {
  const nodes = [];
  const fence = /```(?:([\w+-]+)\n)?\n?([\s\S]*?)\n?```/g;
  let position = 0;
  for (const match of text.matchAll(fence)) {
    nodes.push(...lines(text.slice(position, match.index), names));
    nodes.push(element("pre", {}, match[2]));
    position = match.index + match[0].length;
  }
  nodes.push(...lines(text.slice(position), names));
  return nodes;
}

function lines(text, names) {
  if (!/^(>|#{1,3}) /m.test(text)) return inline(text, names);
  const nodes = [];
  text.split("\n").forEach((line, index) => {
    const quote = /^> (.*)/.exec(line);
    const heading = /^#{1,3} (.*)/.exec(line);
    if (quote) nodes.push(element("blockquote", {}, ...inline(quote[1], names)));
    else if (heading) nodes.push(element("strong", {}, ...inline(heading[1], names)), "\n");
    else nodes.push(...(index ? ["\n"] : []), ...inline(line, names));
  });
  return nodes;
}

function inline(text, names) {
  const nodes = [];
  let plain = "";
  let rest = text;
  while (rest) {
    let found = null;
    for (const [pattern, make] of INLINE) {
      const match = pattern.exec(rest);
      if (match) {
        found = [match[0].length, make(match, names)];
        break;
      }
    }
    if (found) {
      if (plain) nodes.push(plain);
      plain = "";
      nodes.push(found[1]);
      rest = rest.slice(found[0]);
    } else {
      const step = /^[\w\s]+/.exec(rest.slice(1))?.[0].replace(/(https?|_).*$/s, "").length ?? 0;
      plain += rest.slice(0, 1 + step);
      rest = rest.slice(1 + step);
    }
  }
  if (plain) nodes.push(plain);
  return nodes;
}

function link(url, children) {
  return element("a", { href: url, target: "_blank", rel: "noreferrer noopener" }, ...children);
}

function mention(text) {
  return element("span", { class: "mention" }, text);
}

function spoiler(children) {
  const open = (event) => event.currentTarget.classList.add("open");
  return element("button", { class: "spoiler", type: "button", "aria-label": "Spoiler", onclick: open }, ...children);
}

function stamp(seconds, style) {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.valueOf())) return document.createTextNode(String(seconds));
  const text = style === "R" ? relative(date) : date.toLocaleString();
  return element("time", { datetime: date.toISOString() }, text);
}

function relative(date) {
  const seconds = (date - Date.now()) / 1000;
  const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) return format.format(Math.round(seconds / size), unit);
  }
  return format.format(Math.round(seconds), "second");
}
