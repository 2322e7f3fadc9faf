import { interactions, renamed } from "./event-table";
import { Map, Object } from "./intrinsics";
import { isObject } from "./json";
import { camelCase, snakeCase } from "./names";

/*
 * Discord's dispatch names and flora's event names. Most follow from each other (`GUILD_MEMBER_ADD`,
 * `guildMemberAdd`); the tables hold the others. A name that Discord invents tomorrow works without a change here.
 */

const eventByDispatch = new Map<string, string>(Object.entries(renamed));
const dispatchByEvent = new Map<string, string>();
for (const [dispatch, event] of eventByDispatch) dispatchByEvent.set(event, dispatch);

/** https://discord.com/developers/docs/interactions/receiving-and-responding#interaction-object-interaction-type */
const interactionEvents = new Map<unknown, string>(interactions);
for (const event of interactionEvents.values()) dispatchByEvent.set(event, "INTERACTION_CREATE");

const PING = 1;

/** The event that handlers of a dispatch are registered under; null for what no script should see. */
export function eventOf(dispatch: string, payload: unknown): string | null {
  if (dispatch === "INTERACTION_CREATE") {
    const type = isObject(payload) ? payload.type : undefined;
    if (type === PING) return null;
    return interactionEvents.get(type) ?? "interactionCreate";
  }
  let event = eventByDispatch.get(dispatch);
  if (event === undefined) {
    event = camelCase(dispatch.toLowerCase());
    eventByDispatch.set(dispatch, event);
  }
  return event;
}

/** The dispatch that must be delivered for an event's handlers to run. */
export function dispatchOf(event: string): string {
  return dispatchByEvent.get(event) ?? snakeCase(event).toUpperCase();
}

/** Accepts Discord's own names too, so that `on("MESSAGE_REACTION_ADD", …)` is not a handler that never runs. */
export function canonicalEvent(name: string): string {
  if (dispatchByEvent.has(name)) return name;
  const dispatch = name === name.toUpperCase() ? name : dispatchOf(name);
  return eventByDispatch.get(dispatch) ?? camelCase(dispatch.toLowerCase());
}
