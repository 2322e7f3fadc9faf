// The chat page: one state, drawn again where it changed; events keep it current.

import { get, listen, post } from "./api.js";
import { Composer } from "./composer.js";
import { element } from "./markup.js";
import { renderMessage } from "./message.js";
import { openModal } from "./modal.js";

const CATEGORY = 4;
const THREADS = [10, 11, 12];
const CHAT_INPUT = 1;
const MESSAGE_COMMAND = 3;
const KEPT = 300; // messages on the page

const $ = (id) => document.getElementById(id);
const world = { users: new Map(), guilds: [], gateway: [], application: null };
const here = { guildId: null, channelId: null, userId: null };
const messages = new Map();
const unread = new Set();
const dismissed = new Set();
const typists = new Map();
let stopListening = null;

// what there is

async function loadWorld() {
  const state = await get("/state");
  world.users = new Map(state.users.map((user) => [user.id, user]));
  world.guilds = state.guilds;
  world.gateway = state.gateway;
  world.application = state.application;
}

const guild = () => world.guilds.find((each) => each.id === here.guildId);
const channelOf = (id) => guild()?.channels.find((each) => each.id === id);
const member = (id) => guild()?.members.find((each) => each.user.id === id);
const people = () => [...world.users.values()].filter((user) => !user.bot);
const visibleChannels = () => guild().channels.filter((each) => each.viewers.includes(here.userId));

const context = {
  get viewerId() { return here.userId; },
  userName(id) {
    const found = member(id);
    const user = found?.user ?? world.users.get(id);
    return found?.nick ?? user?.global_name ?? user?.username ?? "unknown";
  },
  displayName(message) {
    return message.webhook_id && !world.users.has(message.author.id) ? message.author.username : this.userName(message.author.id);
  },
  roleName: (id) => guild()?.roles.find((each) => each.id === id)?.name ?? "unknown",
  channelName: (id) => channelOf(id)?.name ?? "unknown",
  nameStyle(id) {
    const roles = (guild()?.roles ?? []).filter((role) => member(id)?.roles.includes(role.id) && role.color);
    const top = roles.sort((one, two) => two.position - one.position)[0];
    return top ? `color:#${top.color.toString(16).padStart(6, "0")}` : null;
  },
  entities(type, channelTypes) {
    const users = guild().members.map((each) => ({ value: each.user.id, label: context.userName(each.user.id) }));
    const roles = guild().roles.map((each) => ({ value: each.id, label: each.name }));
    if (type === 5) return users;
    if (type === 6) return roles;
    if (type === 7) return [...users, ...roles];
    return visibleChannels().filter((each) => !channelTypes || channelTypes.includes(each.type)).map((each) => ({ value: each.id, label: `#${each.name}` }));
  },
  messageCommands: () => guild().commands.filter((each) => each.type === MESSAGE_COMMAND),
  click: (message, customId, values) => act("/component", { message_id: message.id, custom_id: customId, values }),
  react: (message, emoji, remove) => act("/react", { message_id: message.id, emoji, remove }),
  remove: (message) => act("/delete", { message_id: message.id }),
  apply: (command, message) => act("/slash", { command_id: command.id, target_id: message.id }),
  dismiss(message) {
    dismissed.add(message.id);
    messages.delete(message.id);
    drawMessages();
  },
};

// doing

async function act(path, body) {
  try {
    const answer = await post(path, { ...place(), ...body });
    notice("");
    return answer ?? true;
  } catch (error) {
    notice(error.message);
    return null;
  }
}

const place = () => ({ user: here.userId, guild: here.guildId, channel: here.channelId });

const composer = new Composer($("composer-input"), $("suggestions"), $("composer"), {
  commands: () => guild().commands.filter((each) => each.type === CHAT_INPUT),
  values(type) {
    const users = guild().members.map((each) => ({ label: context.userName(each.user.id), value: each.user.username }));
    const roles = guild().roles.map((each) => ({ label: each.name, value: each.name }));
    if (type === 6) return users;
    if (type === 8) return roles;
    if (type === 9) return [...users, ...roles];
    return visibleChannels().map((each) => ({ label: `#${each.name}`, value: each.name }));
  },
  async autocomplete(command, path, options) {
    const nested = path.reduceRight((inner, step) => [{ name: step.name, options: inner }], options);
    const answer = await post("/autocomplete", { ...place(), command_id: command.id, options: nested }).catch(() => ({ choices: [] }));
    return answer.choices;
  },
  send: (text) => act("/say", { text }),
  typing: () => post("/typing", place()).catch(() => {}),
});

// what happens

const REFRESH = /^(GUILD_|CHANNEL_|THREAD_|COMMANDS_|GATEWAY_)/;
let refreshing = null;
const loads = new Set(); // each load under way keeps the events that its answer may be too old for

function onEvent(name, data) {
  if (REFRESH.test(name)) {
    clearTimeout(refreshing);
    refreshing = setTimeout(refresh, 50);
    return;
  }
  if (data.channel_id !== here.channelId) {
    if (name === "MESSAGE_CREATE") {
      unread.add(data.channel_id);
      drawChannels();
    }
    return;
  }
  switch (name) {
    case "MESSAGE_CREATE":
    case "MESSAGE_UPDATE":
    case "MESSAGE_DELETE":
    case "MESSAGE_DELETE_BULK": {
      for (const heard of loads) heard.push([name, data]);
      apply(name, data);
      return drawMessages();
    }
    case "TYPING_START": return onTyping(data);
    case "INTERACTION_FAILURE": return fail(data);
    case "INTERACTION_ANSWERED": {
      if (data.modal) openModal(data.modal, context, (values) => act("/modal", { interaction_id: data.interaction_id, values }));
      return;
    }
    default: return loadMessages(); // reactions: the server knows which are mine
  }
}

function apply(name, data) {
  if (name === "MESSAGE_DELETE") messages.delete(data.id);
  else if (name === "MESSAGE_DELETE_BULK") data.ids.forEach((id) => messages.delete(id));
  else if (!dismissed.has(data.id) && (name === "MESSAGE_CREATE" || messages.has(data.id))) {
    data.reactions ??= messages.get(data.id)?.reactions;
    messages.set(data.id, data);
    typists.delete(data.author.id);
    drawTyping();
  }
}

function onTyping(data) {
  if (data.user_id === here.userId) return;
  clearTimeout(typists.get(data.user_id));
  typists.set(data.user_id, setTimeout(() => {
    typists.delete(data.user_id);
    drawTyping();
  }, 10000));
  drawTyping();
}

function fail(data) {
  const what = data.name ? `/${data.name}: ` : "";
  const item = element("li", { class: "failure", "data-testid": "failure", role: "alert" }, "⚠", `${what}The application did not respond.`);
  $("messages").append(item);
  item.scrollIntoView({ block: "end" });
}

async function refresh() {
  await loadWorld().catch((error) => notice(error.message));
  drawAll();
}

// going somewhere

async function go(change) {
  Object.assign(here, change);
  const channels = visibleChannels().filter((each) => each.type !== CATEGORY);
  if (!channels.some((each) => each.id === here.channelId)) here.channelId = channels[0]?.id ?? null;
  unread.delete(here.channelId);
  sessionStorage.setItem("here", JSON.stringify(here));
  typists.clear();
  document.body.classList.remove("menu-open");
  $("menu").setAttribute("aria-expanded", "false");
  drawAll();
  if ("userId" in change) follow();
  await loadMessages();
}

function follow() {
  stopListening?.();
  let lost = false;
  stopListening = listen(here.userId, onEvent, async (up) => {
    $("connection").textContent = up ? "live" : "reconnecting…";
    $("connection").className = up ? "badge live" : "badge lost";
    const returned = up && lost;
    lost = !up;
    if (returned) await refresh();
    if (up) await loadMessages(); // what was said before the stream began
  });
}

async function loadMessages() {
  const channelId = here.channelId;
  if (!channelId) return;
  const heard = [];
  loads.add(heard);
  try {
    const list = await get(`/channels/${channelId}/messages?user=${here.userId}&limit=100`);
    if (channelId !== here.channelId) return;
    messages.clear();
    for (const message of list) if (!dismissed.has(message.id)) messages.set(message.id, message);
    for (const [name, data] of heard) if (data.channel_id === channelId) apply(name, data);
    drawMessages();
  } catch (error) {
    notice(error.message);
  } finally {
    loads.delete(heard);
  }
}

// drawing

function drawAll() {
  if (!guild()) return;
  drawGuilds();
  drawChannels();
  drawUsers();
  drawGateway();
  const current = channelOf(here.channelId);
  $("guild-name").textContent = guild().name;
  $("channel-name").textContent = current?.name ?? "";
  $("channel-topic").textContent = current?.topic ?? "";
  $("composer-input").placeholder = `Message #${current?.name ?? ""} as ${context.userName(here.userId)}`;
  document.title = `#${current?.name ?? ""} | ${guild().name} | flora playground`;
}

function drawGuilds() {
  $("guild-list").replaceChildren(...world.guilds.map((each) => element("button", {
    type: "button", class: each.available ? "guild" : "guild away", title: each.name, "aria-label": each.name,
    "aria-current": String(each.id === here.guildId), "data-testid": `guild-${each.name.toLowerCase()}`,
    onclick: () => go({ guildId: each.id, channelId: null }),
  }, each.name.slice(0, 2))));
}

function drawChannels() {
  const shown = visibleChannels();
  const rows = [];
  const place = (each) => rows.push(element("button", {
    type: "button", class: THREADS.includes(each.type) ? "channel thread" : "channel",
    "aria-current": String(each.id === here.channelId), "data-testid": `channel-${each.name}`,
    onclick: () => go({ channelId: each.id }),
  }, each.name, unread.has(each.id) ? element("span", { class: "unread", role: "img", "aria-label": "unread" }) : null));
  const under = (parent) => {
    for (const each of shown.filter((one) => one.parent_id === parent && one.type !== CATEGORY)) {
      place(each);
      shown.filter((one) => one.parent_id === each.id).forEach(place);
    }
  };
  under(null);
  for (const category of shown.filter((each) => each.type === CATEGORY)) {
    rows.push(element("h3", { class: "category" }, category.name));
    under(category.id);
  }
  $("channel-list").replaceChildren(...rows);
}

function drawUsers() {
  $("user-select").replaceChildren(...people().map((user) => element("option", { value: user.id, selected: user.id === here.userId }, context.userName(user.id))));
}

function drawGateway() {
  const bots = world.gateway.filter((each) => each.user === world.application.name);
  $("gateway-status").textContent = bots.length ? `${world.application.name} is connected` : `${world.application.name} is not connected`;
  $("gateway-status").className = bots.length ? "status on" : "status";
}

function drawMessages() {
  const list = $("messages");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const ids = [...messages.keys()].sort((one, two) => (BigInt(one) < BigInt(two) ? -1 : 1));
  for (const id of ids.splice(0, Math.max(0, ids.length - KEPT))) messages.delete(id);
  const drawn = new Map([...list.children].map((item) => [item.dataset.messageId, item]));
  let previous = null;
  const items = ids.map((id) => {
    const message = messages.get(id);
    const key = `${previous?.id ?? ""}`;
    let item = drawn.get(id);
    if (!item || item.source !== message || item.key !== key) {
      item = renderMessage(message, previous, context);
      item.source = message;
      item.key = key;
    }
    previous = message;
    return item;
  });
  if (!items.length) items.push(element("li", { class: "empty" }, `This is the start of #${channelOf(here.channelId)?.name ?? ""}. Say something, or type / for commands.`));
  if (items.length !== list.children.length || items.some((item, index) => item !== list.children[index])) list.replaceChildren(...items);
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function drawTyping() {
  const names = [...typists.keys()].map((id) => context.userName(id));
  $("typing").textContent = names.length ? `${names.join(", ")} ${names.length > 1 ? "are" : "is"} typing…` : "";
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

// beginning

$("user-select").addEventListener("change", (event) => go({ userId: event.target.value }));
$("menu").addEventListener("click", () => {
  const open = document.body.classList.toggle("menu-open");
  $("menu").setAttribute("aria-expanded", String(open));
});
document.querySelector(".chat").addEventListener("click", (event) => {
  if (event.target.closest("#menu")) return;
  document.body.classList.remove("menu-open");
});

async function begin() {
  await loadWorld();
  const before = JSON.parse(sessionStorage.getItem("here") ?? "{}");
  const start = world.guilds.find((each) => each.id === before.guildId) ?? world.guilds[0];
  const user = world.users.has(before.userId) ? before.userId : people()[0].id;
  await go({ guildId: start.id, channelId: before.channelId ?? null, userId: user });
  composer.input.focus();
  document.body.dataset.ready = "true";
}

begin().catch((error) => notice(`The playground does not answer: ${error.message}`));
