import { canonicalEvent, dispatchOf } from "../events";
import type { Kit } from "./kit";

type Bot = typeof import("flora:test").bot;
type Message = { readonly id: string; readonly channel_id: string };

/** `bot`: people act in the test's guild, and the script sees it as it would see Discord's. */
export function makeBot(kit: Kit): Bot {
  const ids = (kind: "users" | "channels" | "roles") => () => kit.world[kind];
  const bot: Bot = {
    message: (content, options) => kit.act({ do: "message", content, ...options }),
    edit: (message, content, options) => kit.act({ do: "edit", ...place(message), content, ...options }),
    delete: (message, options) => kit.act({ do: "delete", ...place(message), ...options }),
    react: (emoji, message, options) => kit.act({ do: "react", emoji, ...place(message), ...options }),
    unreact: (emoji, message, options) => kit.act({ do: "react", emoji, remove: true, ...place(message), ...options }),
    slash: (name, values = {}, options) => kit.act({ do: "slash", name, values: texts(values), ...options }),
    autocomplete: (name, option, typed, values = {}) =>
      kit.act({ do: "autocomplete", name, focused: option, values: texts({ ...values, [option]: typed }) }),
    menu: (name, target, options) =>
      kit.act({ do: "menu", name, target: typeof target === "string" ? target : target.id, ...options }),
    component: (customId, options = {}) => {
      const { message, values, ...more } = options;
      return kit.act({
        do: "component",
        customId,
        ...(message === undefined ? {} : place(message)),
        ...(values === undefined ? {} : { values: values.map(String) }),
        ...more,
      });
    },
    modal: (customId, fields = {}, options) => kit.act({ do: "modal", customId, fields: texts(fields), ...options }),
    join: (name, options) => kit.act({ do: "join", name, ...options }),
    leave: (name) => kit.act({ do: "leave", name }),
    event: (name, payload = {}) => kit.act({ do: "event", name: dispatchOf(canonicalEvent(name)), payload, forged: false }),
    cron: (name) => kit.act({ do: "cron", name }),
    advance: (milliseconds) => kit.advance(milliseconds),
    stub: (op, answer) => kit.answer(op, answer),
    unstub: (op) => kit.unanswer(op),
    fetch: (url, answer) => kit.web.add(url, answer),
    secret: (name, value) => kit.secret(name, value),
    addRole: async (name, options) => `${await kit.ask("test_add", { kind: "role", name, ...options })}`,
    addChannel: async (name) => `${await kit.ask("test_add", { kind: "channel", name })}`,
    grant: async (user, role) => void (await kit.ask("test_add", { kind: "grant", name: user, role })),
    messages: async (channel) => (await kit.ask("test_history", { channel })) as RawMessage[],
    calls: async () => (await kit.everything()).calls,
    get users() {
      return ids("users")();
    },
    get channels() {
      return ids("channels")();
    },
    get roles() {
      return ids("roles")();
    },
    get guildId() {
      return kit.world.guildId;
    },
  };
  return Object.freeze(bot);
}

function place(message: Message | undefined): object {
  if (message === undefined || typeof message.id !== "string") {
    throw new TypeError("which message? Pass one that a step returned, such as `result.message`");
  }
  return { messageId: message.id, channelId: message.channel_id };
}

/** Values as a person enters them. */
function texts(values: { readonly [name: string]: unknown }): { [name: string]: string } {
  const out: { [name: string]: string } = {};
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined) out[name] = Array.isArray(value) ? value.join(",") : String(value);
  }
  return out;
}
