// The playground's control API, as the page uses it.

const BASE = "/playground/api";

export async function get(path) {
  return answer(await fetch(BASE + path));
}

export async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return answer(await fetch(BASE + path, { method: "POST", headers, body: JSON.stringify(body) }));
}

async function answer(response) {
  if (response.status === 204) return null;
  const body = await response.json();
  if (response.ok) return body;
  const fields = body.errors ? " " + JSON.stringify(body.errors) : "";
  throw new Error(body.message + fields);
}

// Calls back for every event, and with (true | false) when the stream is up or lost; returns the way to end it.
export function listen(userId, onEvent, onState) {
  const source = new EventSource(`${BASE}/events?user=${encodeURIComponent(userId)}`);
  const names = [
    "MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "MESSAGE_DELETE_BULK", "MESSAGE_REACTION_ADD",
    "MESSAGE_REACTION_REMOVE", "MESSAGE_REACTION_REMOVE_ALL", "MESSAGE_REACTION_REMOVE_EMOJI", "TYPING_START",
    "INTERACTION_FAILURE", "INTERACTION_ANSWERED", "GUILD_UPDATE", "GUILD_CREATE", "GUILD_DELETE", "CHANNEL_CREATE",
    "CHANNEL_UPDATE", "CHANNEL_DELETE", "THREAD_CREATE", "THREAD_UPDATE", "THREAD_DELETE", "GUILD_ROLE_CREATE",
    "GUILD_ROLE_UPDATE", "GUILD_ROLE_DELETE", "GUILD_MEMBER_ADD", "GUILD_MEMBER_UPDATE", "GUILD_MEMBER_REMOVE",
    "COMMANDS_UPDATE", "GATEWAY_UPDATE",
  ];
  for (const name of names) source.addEventListener(name, (event) => onEvent(name, JSON.parse(event.data)));
  source.addEventListener("HELLO", () => onState(true));
  source.onerror = () => onState(false);
  return () => source.close();
}
