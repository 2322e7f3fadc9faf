import { changesFlagsOnly, editBody, messageReply } from "./bodies";
import type { Conversation } from "./conversation";
import { InvalidInputError, invalid } from "./errors";
import type { Host } from "./host";
import { isObject, type Json } from "./json";
import { Queue } from "./queue";
import { wireEmoji } from "./wire";

interface Place {
  readonly channelId: string;
  readonly messageId: string;
}

/** Replies to an event that is no interaction, through the bot's own messages. */
export class MessageConversation implements Conversation {
  readonly #host: Host;
  readonly #channelId: string | null;
  readonly #messageId: string | null;
  /** Whether the event's message still exists, so that a reply can refer to it. */
  readonly #exists: boolean;
  readonly #queue = new Queue();
  #own: Place | null = null;
  #ownMessage: unknown = undefined;

  constructor(host: Host, event: string, msg: Json) {
    this.#host = host;
    this.#channelId = text(msg.channelId);
    // `id` is a message's id in the message events only.
    this.#messageId = text(msg.messageId) ?? (event.startsWith("message") ? text(msg.id) : null);
    this.#exists = event !== "messageDelete";
  }

  reply(body: unknown): Promise<unknown> {
    return this.#queue.run(() => this.#send(body, this.#exists ? this.#messageId : null));
  }

  followUp(body: unknown): Promise<unknown> {
    return this.#queue.run(() => this.#send(body, null));
  }

  async #send(body: unknown, reference: string | null): Promise<unknown> {
    if (this.#channelId === null) {
      throw invalid("channelId", "this event has no channel to reply in; use rest.sendMessage({ channelId, ... })");
    }
    const sent = await this.#host.op("send_message", messageReply(body, this.#channelId, reference));
    if (isObject(sent) && typeof sent.id === "string") {
      this.#own = { channelId: text(sent.channel_id) ?? this.#channelId, messageId: sent.id };
      this.#ownMessage = sent;
    }
    return sent;
  }

  edit(body: unknown): Promise<unknown> {
    return this.#queue.run(async () => {
      const target = changesFlagsOnly(body) ? this.#source() : (this.#own ?? this.#source());
      if (target === null) {
        throw new InvalidInputError("Message edit requires a message payload: reply first, or use rest.editMessage");
      }
      return this.#host.op("edit_message", { ...target, ...editBody(body) });
    });
  }

  delete(): Promise<void> {
    return this.#queue.run(async () => {
      const target = this.#own ?? this.#source();
      if (target === null) throw invalid("messageId", "this event has no message, and nothing was replied yet");
      await this.#host.op("delete_message", target);
      if (target === this.#own) this.#own = null;
    });
  }

  fetchReply(): Promise<unknown> {
    return this.#queue.run(async () => {
      if (this.#own === null) throw invalid("messageId", "nothing was replied yet");
      return this.#ownMessage;
    });
  }

  react(emoji: unknown): Promise<void> {
    return this.#queue.run(async () => {
      const target = this.#source();
      if (target === null) throw invalid("messageId", "this event has no message to react to");
      await this.#host.op("add_reaction", { ...target, emoji: wireEmoji(emoji) });
    });
  }

  defer(): Promise<void> {
    return onlyInteractions("defer");
  }

  deferUpdate(): Promise<void> {
    return onlyInteractions("deferUpdate");
  }

  showModal(): Promise<void> {
    return onlyInteractions("showModal");
  }

  respond(): Promise<void> {
    return onlyInteractions("respond");
  }

  #source(): Place | null {
    if (this.#channelId === null || this.#messageId === null) return null;
    return { channelId: this.#channelId, messageId: this.#messageId };
  }
}

async function onlyInteractions(method: string): Promise<void> {
  throw new InvalidInputError(`ctx.${method} answers interactions (slash commands, buttons, selects, modals) only`);
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
