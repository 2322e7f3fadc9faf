import { editBody, followUpBody, interactionReply } from "./bodies";
import type { Conversation } from "./conversation";
import { InvalidInputError, invalid } from "./errors";
import type { Host } from "./host";
import { Array } from "./intrinsics";
import { isObject, type Json } from "./json";
import { Queue } from "./queue";
import { wireChoice, wireComponents, wireEmoji } from "./wire";

/**
 * Where an interaction stands. Discord takes one first response within three seconds; everything after it
 * goes through the original response or as a follow-up.
 *
 * - `open`: nothing sent.
 * - `deferred`: "is thinking…" is shown; the next reply fills it.
 * - `updating`: acknowledged without a sign; the original response is the message that the component sits on.
 * - `answered`: there is an original response.
 * - `closed`: answered with something that is no message (modal, choices).
 */
type Stage = "open" | "deferred" | "updating" | "answered" | "closed";

/** Discord shows and takes no more. */
const MAX_CHOICES = 25;

export class InteractionConversation implements Conversation {
  readonly #host: Host;
  readonly #msg: Json;
  readonly #token: unknown;
  readonly #base: { readonly interactionId: unknown; readonly token: unknown };
  readonly #queue = new Queue();
  #stage: Stage = "open";

  constructor(host: Host, msg: Json) {
    this.#host = host;
    this.#msg = msg;
    this.#token = msg.interactionToken;
    this.#base = { interactionId: msg.interactionId ?? msg.id, token: this.#token };
  }

  reply(body: unknown): Promise<unknown> {
    return this.#queue.run(() => this.#say(body));
  }

  followUp(body: unknown): Promise<unknown> {
    return this.#queue.run(() => this.#say(body));
  }

  async #say(body: unknown): Promise<unknown> {
    switch (this.#stage) {
      case "open":
        await this.#first("send_interaction_response", interactionReply(body), "answered");
        return undefined;
      case "deferred":
        return this.#editOriginal(body);
      default:
        return this.#host.op("create_followup_message", { token: this.#token, ...followUpBody(body) });
    }
  }

  edit(body: unknown): Promise<unknown> {
    return this.#queue.run(async () => {
      if (this.#stage !== "open") return this.#editOriginal(body);
      if (!this.#sitsOnMessage()) {
        throw new InvalidInputError("Message edit requires a message payload: reply before you edit the reply");
      }
      await this.#first("update_interaction_response", editBody(body), "answered");
      return undefined;
    });
  }

  async #editOriginal(body: unknown): Promise<unknown> {
    const edited = await this.#host.op("edit_original_interaction_response", { token: this.#token, ...editBody(body) });
    if (this.#stage === "deferred") this.#stage = "answered";
    return edited;
  }

  delete(): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#stage !== "open") {
        await this.#host.op("delete_original_interaction_response", { token: this.#token });
      } else if (this.#sitsOnMessage()) {
        await this.#host.op("delete_message", { channelId: this.#msg.channelId, messageId: this.#msg.messageId });
      } else {
        throw invalid("messageId", "nothing was replied yet");
      }
    });
  }

  fetchReply(): Promise<unknown> {
    return this.#queue.run(async () => {
      if (this.#stage === "open") throw invalid("messageId", "nothing was replied yet");
      return this.#host.op("fetch_original_interaction_response", { token: this.#token });
    });
  }

  react(emoji: unknown): Promise<void> {
    return this.#queue.run(async () => {
      if (!this.#sitsOnMessage()) throw invalid("messageId", "this interaction has no message to react to");
      const { channelId, messageId } = this.#msg;
      await this.#host.op("add_reaction", { channelId, messageId, emoji: wireEmoji(emoji) });
    });
  }

  defer(options?: unknown): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#stage !== "open") return;
      const ephemeral = isObject(options) && options.ephemeral === true ? { ephemeral: true } : {};
      await this.#first("defer_interaction_response", ephemeral, "deferred");
    });
  }

  deferUpdate(): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#stage !== "open") return;
      if (!this.#sitsOnMessage()) throw new InvalidInputError("ctx.deferUpdate needs a component; use ctx.defer here");
      await this.#first("defer_interaction_update", {}, "updating");
    });
  }

  showModal(modal: unknown): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#stage !== "open") throw new InvalidInputError("a modal must be the first response to an interaction");
      if (!isObject(modal)) throw invalid("modal", "an object with customId, title and components is needed");
      const { customId, title, components } = modal;
      if (typeof customId !== "string") throw invalid("modal.customId", "text is needed to show it");
      if (typeof title !== "string") throw invalid("modal.title", "text is needed to show it");
      if (!Array.isArray(components)) throw invalid("modal.components", "an array of labels is needed to show it");
      await this.#first("show_modal", { customId, title, components: wireComponents(components) }, "closed");
    });
  }

  respond(choices: unknown): Promise<void> {
    return this.#queue.run(async () => {
      if (!Array.isArray(choices)) throw invalid("choices", "an array of values or { name, value } is needed");
      await this.#first("send_autocomplete_response", { choices: choices.slice(0, MAX_CHOICES).map(wireChoice) }, "closed");
    });
  }

  async #first(op: string, args: Json, next: Stage): Promise<void> {
    await this.#host.op(op, { ...this.#base, ...args });
    this.#stage = next;
  }

  #sitsOnMessage(): boolean {
    return typeof this.#msg.messageId === "string";
  }
}
