import type { Context } from "../context";
import { invalid } from "../errors";
import type { Handlers } from "../handlers";
import type { Host } from "../host";
import { flattenInteractionOptions, invokedPath } from "../interaction-data";
import { Array, RegExp } from "../intrinsics";
import { arrayOf, isObject, objectOr, type Json } from "../json";
import type { Manifest } from "../manifest";
import { definitions, discordCommands, flattenCommands, type Definition } from "./commands";
import { Cooldowns, protection, type Protection } from "./protection";
import { parsePrefix } from "./prefix";

type Run = (ctx: Context) => unknown;

interface Entry {
  readonly run: Run;
  readonly protect: Protection;
}

/** `createBot`: commands and component handlers as data, routed here. */
export class Bot {
  readonly #handlers: Handlers;
  readonly #options: Json;
  readonly #cooldowns = new Cooldowns();

  private constructor(handlers: Handlers, options: Json) {
    this.#handlers = handlers;
    this.#options = options;
  }

  static maker(host: Host, handlers: Handlers, manifest: Manifest): (options: unknown) => void {
    let made = false;
    return (options) => {
      if (made) {
        host.log("info", "[flora/sdk] createBot called multiple times; skipping duplicate registration");
        return;
      }
      if (!isObject(options)) throw invalid("createBot", "it takes one object, such as { slashCommands: [hello] }");
      new Bot(handlers, options).#register(manifest);
      made = true;
    };
  }

  /** Everything is checked before anything is registered. */
  #register(manifest: Manifest): void {
    const { slashCommands, contextMenus } = this.#options;
    const routes: [event: string, route: Run][] = [];
    const prefixCommands = definitions(this.#options.commands ?? this.#options.prefixCommands);
    const prefix = this.#prefix();
    const prefixRoute = prefixCommands.length > 0 ? this.#prefixRoute(prefix, prefixCommands) : undefined;
    const slash = definitions(slashCommands);
    const menus = definitions(contextMenus);
    const applicationCommands = discordCommands([...flattenCommands(slash), ...flattenCommands(menus)]);
    if (slash.length + menus.length > 0) routes.push(["interactionCreate", this.#commandRoute(slash, menus)]);
    if (hasAutocomplete(slash)) routes.push(["autocomplete", autocompleteRoute(slash)]);
    const components = definitions(this.#options.components);
    if (components.length > 0) routes.push(["componentInteraction", this.#customIdRoute(components, "component")]);
    const modals = definitions(this.#options.modals);
    if (modals.length > 0) routes.push(["modalSubmit", this.#customIdRoute(modals, "modal")]);

    if (prefixRoute !== undefined) this.#handlers.onPrefix(prefix, prefixRoute);
    for (const [event, route] of routes) this.#handlers.on(event, route);
    if (slashCommands !== undefined || contextMenus !== undefined) manifest.wantsCommands(applicationCommands);
  }

  #entry(label: string, run: unknown, owners: readonly Definition[]): Entry {
    if (typeof run !== "function") throw invalid(label, "it needs a function `run`");
    // Called as a method of its command, so that `this` is what the author expects.
    const last = owners[owners.length - 1];
    const everywhere: Definition = { guards: this.#options.guards };
    return { run: (ctx) => run.call(last, ctx), protect: protection(label, [everywhere, ...owners], this.#cooldowns) };
  }

  #prefix(): string {
    const prefix = this.#options.prefix ?? "!";
    if (typeof prefix !== "string" || prefix === "") throw invalid("createBot.prefix", "text such as \"!\" is needed");
    return prefix;
  }

  /** Does nothing with messages of bots, nor with text that does not begin with `prefix`. */
  #prefixRoute(prefix: string, commands: readonly Definition[]): Run {
    const entries = commands.map((command) => {
      if (typeof command.name !== "string") throw invalid("command", "it needs a name");
      const label = `prefix command "${command.name}"`;
      if (command.requiredPermissions !== undefined) {
        throw invalid(
          `${label}.requiredPermissions`,
          "Discord sends no permissions with a message; use requiredRoles, a guard, or a slash command",
        );
      }
      const aliases = arrayOf(command.aliases);
      return { name: command.name, aliases, ...this.#entry(label, command.run, [command]) };
    });
    return async (ctx) => {
      if (objectOr(ctx.msg.author).bot === true) return;
      const parsed = parsePrefix(ctx.msg.content, prefix);
      if (parsed === null) return;
      const { name, args } = parsed;
      const entry = entries.find((each) => each.name === name) ?? entries.find((each) => each.aliases.includes(name));
      if (entry) await this.#run(entry, { ...ctx, args });
    };
  }

  #commandRoute(slash: readonly Definition[], menus: readonly Definition[]): Run {
    const chat = new CommandTree(slash, (label, run, owners) => this.#entry(label, run, owners));
    const byMenu = menus.map((menu) => ({
      name: menu.name,
      type: menu.type === "message" || menu.type === 3 ? 3 : 2,
      ...this.#entry(`context menu "${menu.name}"`, menu.run, [menu]),
    }));
    return async (ctx) => {
      const { type = 1 } = objectOr(ctx.msg.data);
      const entry =
        type === 1
          ? chat.find(ctx.msg)
          : byMenu.find((each) => each.type === type && each.name === ctx.msg.commandName);
      if (entry) await this.#run(entry, ctx);
    };
  }

  #customIdRoute(owners: readonly Definition[], kind: string): Run {
    const entries = owners
      // A modal without `run` is one that is only shown.
      .filter((owner) => kind === "component" || owner.run !== undefined)
      .map((owner) => ({
        matches: customIdMatcher(owner.customId, kind),
        ...this.#entry(`${kind} ${owner.customId}`, owner.run, [owner]),
      }));
    return async (ctx) => {
      const { custom_id: customId } = objectOr(ctx.msg.data);
      if (typeof customId !== "string") return;
      for (const entry of entries) {
        const match = entry.matches(customId);
        if (match !== null) return this.#run(entry, { ...ctx, customId, match });
      }
    };
  }

  async #run(entry: Entry, ctx: Context): Promise<void> {
    try {
      const refusal = await entry.protect(ctx);
      if (refusal === null) await entry.run(ctx);
      else await (ctx.reply as (body: unknown) => Promise<unknown>)({ content: refusal, ephemeral: true });
    } catch (error) {
      const { onError } = this.#options;
      if (typeof onError !== "function") throw error;
      await onError.call(this.#options, error, ctx);
    }
  }
}

type MakeEntry = (label: string, run: unknown, owners: readonly Definition[]) => Entry;

/** Chat input commands with their groups and subcommands. */
class CommandTree {
  readonly #entries: { readonly name: unknown; readonly group: unknown; readonly subcommand: unknown; entry: Entry }[] = [];

  constructor(commands: readonly Definition[], make: MakeEntry) {
    for (const command of commands) {
      const label = `slash command "${command.name}"`;
      const groups = definitions(command.groups);
      const subcommands = definitions(command.subcommands);
      for (const group of groups) {
        for (const sub of definitions(group.subcommands)) {
          const entry = make(`${label} ${group.name} ${sub.name}`, sub.run, [command, group, sub]);
          this.#entries.push({ name: command.name, group: group.name, subcommand: sub.name, entry });
        }
      }
      for (const sub of subcommands) {
        const entry = make(`${label} ${sub.name}`, sub.run, [command, sub]);
        this.#entries.push({ name: command.name, group: null, subcommand: sub.name, entry });
      }
      // A command without `run` is registered, and answered by a handler of the author's own.
      if (groups.length + subcommands.length === 0 && command.run !== undefined) {
        const entry = make(label, command.run, [command]);
        this.#entries.push({ name: command.name, group: undefined, subcommand: undefined, entry });
      }
    }
  }

  find(msg: Json): Entry | undefined {
    const { group, subcommand } = invokedPath(msg.data);
    return this.#entries.find(
      (each) =>
        each.name === msg.commandName &&
        (each.subcommand === undefined || (each.group === group && each.subcommand === subcommand)),
    )?.entry;
  }
}

/** `handleSubcommand`: runs the subcommand that an interaction chose, for scripts that route by themselves. */
export async function handleSubcommand(ctx: unknown, command: unknown): Promise<void> {
  const context = objectOr(ctx);
  const msg = objectOr(context.msg);
  const { group, subcommand } = invokedPath(msg.data);
  const owner = objectOr(command);
  const holder = group === null ? owner : definitions(owner.groups).find((each) => each.name === group);
  const chosen = definitions(holder?.subcommands).find((each) => each.name === subcommand);
  if (typeof chosen?.run !== "function") return;
  await chosen.run({ ...context, options: flattenInteractionOptions(objectOr(msg.data).options) });
}

function customIdMatcher(wanted: unknown, kind: string): (customId: string) => Json[] | string[] | null {
  if (wanted instanceof RegExp) {
    return (customId) => {
      wanted.lastIndex = 0; // a global or sticky expression would start where it stopped last time
      return wanted.exec(customId);
    };
  }
  if (typeof wanted !== "string" || wanted === "") {
    throw invalid(`${kind}.customId`, "text, or a regular expression, is needed");
  }
  return (customId) => (customId === wanted ? [customId] : null);
}

function hasAutocomplete(commands: readonly Definition[]): boolean {
  return commands.some((command) => {
    const levels = [command.options, command.subcommands, command.groups];
    return (
      levels.some((level) => definitions(level).some((each) => typeof each.autocomplete === "function")) ||
      levels.some((level) => hasAutocomplete(definitions(level)))
    );
  });
}

/** The suggestions for the option being typed come from the option's own function. */
function autocompleteRoute(commands: readonly Definition[]): Run {
  return async (ctx) => {
    const command = commands.find((each) => each.name === ctx.msg.commandName);
    const focused = objectOr(ctx.focused).name;
    if (!command || focused === undefined) return;
    const { group, subcommand } = invokedPath(ctx.msg.data);
    const holder = group === null ? command : objectOr(definitions(command.groups).find((each) => each.name === group));
    const chosen = definitions(holder.subcommands).find((each) => each.name === subcommand) ?? holder;
    const option = definitions(chosen.options).find((each) => each.name === focused);
    if (typeof option?.autocomplete !== "function") return;
    const choices = await option.autocomplete(ctx);
    if (Array.isArray(choices)) await (ctx.respond as (choices: unknown) => Promise<void>)(choices);
  };
}
