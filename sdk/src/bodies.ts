import { MessageFlags } from "./constants";
import { Object, String } from "./intrinsics";
import { isObject, type Json } from "./json";
import { wireMessage } from "./wire";

/*
 * What a script hands to `ctx.reply` and `ctx.edit`, as the arguments of an op. Text is content, an object is
 * taken as it is, anything else is written out.
 */

/** A reply to a message: refers to it unless `replyTo` names another one, or none with null. */
export function messageReply(body: unknown, channelId: string, messageId: string | null): Json {
  const reference = messageId === null ? {} : { messageId };
  if (!isObject(body)) return { channelId, ...reference, content: String(body) };
  // `reply_to` was never honoured; passing it on would make the host refuse the call.
  const { replyTo, reply_to: _, ephemeral: __, ...rest } = body;
  const message = wireMessage(rest);
  if (replyTo === null) return { channelId, ...message };
  if (replyTo !== undefined) return { channelId, ...message, messageId: replyTo };
  return { channelId, ...reference, ...message };
}

/** The content of an interaction's first response; `ephemeral` stays, the op knows it. */
export function interactionReply(body: unknown): Json {
  return isObject(body) ? wireMessage(body) : { content: String(body) };
}

/** The content of a follow-up, whose op knows `flags` only. */
export function followUpBody(body: unknown): Json {
  if (!isObject(body)) return { content: String(body) };
  const { replyTo: _, ephemeral, ...rest } = body;
  const message = wireMessage(rest);
  if (ephemeral !== true) return message;
  const flags = typeof message.flags === "number" ? message.flags : 0;
  return { ...message, flags: flags | MessageFlags.EPHEMERAL };
}

/** The content of an edit: what only a new message can have is left out. */
export function editBody(body: unknown): Json {
  if (!isObject(body)) return { content: String(body) };
  const { replyTo: _, ephemeral: __, tts: ___, ...rest } = body;
  return wireMessage(rest);
}

/** Discord lets a bot change nothing but the flags of somebody else's message. */
export function changesFlagsOnly(body: unknown): boolean {
  if (!isObject(body) || body.flags === undefined) return false;
  return Object.keys(body).every((key) => key === "flags" || body[key] === undefined);
}
