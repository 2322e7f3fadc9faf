import type { Host } from "./host";
import type { Json } from "./json";
import { InteractionConversation } from "./interaction-conversation";
import { MessageConversation } from "./message-conversation";

/**
 * What a handler can say about one event. Shared by the event's handlers, so that a second handler's reply to
 * an interaction knows that the first one has answered.
 */
export interface Conversation {
  reply(body: unknown): Promise<unknown>;
  edit(body: unknown): Promise<unknown>;
  delete(): Promise<void>;
  followUp(body: unknown): Promise<unknown>;
  fetchReply(): Promise<unknown>;
  react(emoji: unknown): Promise<void>;
  defer(options?: unknown): Promise<void>;
  deferUpdate(): Promise<void>;
  showModal(modal: unknown): Promise<void>;
  respond(choices: unknown): Promise<void>;
}

export function converse(host: Host, event: string, msg: Json): Conversation {
  return typeof msg.interactionToken === "string" && msg.interactionToken !== ""
    ? new InteractionConversation(host, msg)
    : new MessageConversation(host, event, msg);
}
