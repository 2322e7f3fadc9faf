import { converse } from "./conversation";
import type { DispatchMeta, Host } from "./host";
import { flattenInteractionOptions, focusedOption, modalFields } from "./interaction-data";
import { Set } from "./intrinsics";
import { arrayOf, objectOr, type Json } from "./json";
import { resolved, shape } from "./payloads";

/** What a handler gets. Plain own properties, so that scripts may spread and destructure it. */
export type Context = Json & { readonly msg: Json };

/** Prepares the contexts of one event: a fresh object for each handler over one shared message and conversation. */
export function contextsOf(host: Host, event: string, payload: unknown, meta: DispatchMeta): () => Context {
  const msg = shape(event, payload);
  const conversation = converse(host, event, msg);
  const hasExtras = withExtras.has(event);
  return () => {
    const context: Context = {
      msg,
      raw: payload,
      event: { id: meta.id, attempt: meta.attempt },
      reply: (body: unknown) => conversation.reply(body),
      edit: (body: unknown) => conversation.edit(body),
      delete: () => conversation.delete(),
      followUp: (body: unknown) => conversation.followUp(body),
      fetchReply: () => conversation.fetchReply(),
      react: (emoji: unknown) => conversation.react(emoji),
      defer: (options?: unknown) => conversation.defer(options),
      deferUpdate: () => conversation.deferUpdate(),
      showModal: (modal: unknown) => conversation.showModal(modal),
      respond: (choices: unknown) => conversation.respond(choices),
    };
    return hasExtras ? { ...context, ...extras(event, msg) } : context;
  };
}

const withExtras = new Set(["interactionCreate", "autocomplete", "componentInteraction", "modalSubmit", "task"]);

/** What an interaction's data or a task says, ready to use. */
function extras(event: string, msg: Json): Json {
  const data = objectOr(msg.data);
  switch (event) {
    case "interactionCreate": {
      const references = resolved(data);
      return {
        options: flattenInteractionOptions(data.options),
        resolved: references,
        ...(data.target_id === undefined ? {} : { target: target(data, references) }),
      };
    }
    case "autocomplete":
      return { options: flattenInteractionOptions(data.options), focused: focusedOption(data.options) };
    case "componentInteraction":
      return { values: arrayOf(data.values), resolved: resolved(data) };
    case "modalSubmit":
      return { fields: modalFields(data.components), resolved: resolved(data) };
    case "task":
      return { key: msg.key, data: msg.data, scheduledAt: msg.scheduledAt, attempt: msg.attempt, trigger: msg.trigger };
    default:
      return {};
  }
}

/** https://discord.com/developers/docs/interactions/application-commands#application-command-object-application-command-types */
const USER_COMMAND = 2;

/** What a context menu was opened on. */
function target(data: Json, references: Json): unknown {
  const id = `${data.target_id}`;
  if (data.type !== USER_COMMAND) return objectOr(references.messages)[id] ?? { id };
  const user = objectOr(references.users)[id] ?? null;
  const member = objectOr(references.members)[id] ?? null;
  return { id, user, member };
}
