import { Bot, handleSubcommand } from "./bot/create-bot";
import { discordCommands, flattenCommands } from "./bot/commands";
import * as embeds from "./builders/embed";
import * as interactive from "./builders/interactive";
import * as layout from "./builders/layout";
import * as constants from "./constants";
import { Crons, makeTasks } from "./cron";
import { defineErrors, errorClasses } from "./errors";
import { makeGuild } from "./guild";
import { Handlers } from "./handlers";
import * as helpers from "./helpers";
import type { Host, Sdk } from "./host";
import { flattenInteractionOptions } from "./interaction-data";
import { Object, Promise } from "./intrinsics";
import { makeKv } from "./kv";
import { Manifest } from "./manifest";
import { hasPermission, permissionBits, PermissionFlags } from "./permissions";
import { makeRest } from "./rest";
import { Secrets, secretsChanged } from "./secrets";
import { installWeb } from "./web";

/**
 * Puts the SDK into the realm. Runs once per guild process, in the fork server: nothing here may depend on the
 * guild, the time or chance.
 */
export function install(host: Host): Sdk {
  defineErrors(host);
  const manifest = new Manifest(host);
  const handlers = new Handlers(host, manifest);
  const secrets = new Secrets();
  const crons = new Crons(host, manifest);
  const same = <T>(definition: any): T => definition;
  // Typed by flora.d.ts, so that what authors are promised is what they get.
  const surface: typeof flora = {
    createBot: Bot.maker(host, handlers, manifest),
    on: handlers.on.bind(handlers),
    once: handlers.once.bind(handlers),
    off: handlers.off.bind(handlers),
    prefix: same,
    slash: same,
    component: same,
    modal: same,
    registerSlashCommands(commands: unknown): Promise<void> {
      manifest.wantsCommands(discordCommands(commands));
      return Promise.resolve();
    },
    rest: makeRest(host),
    guild: makeGuild(host),
    ...makeKv(host),
    secrets: secrets.surface,
    cron: crons.cron,
    tasks: Object.freeze(makeTasks(host)),
    ...helpers,
    flattenCommands,
    flattenInteractionOptions,
    handleSubcommand,
    hasPermission,
    permissionBits,
    PermissionFlags,
    ...embeds,
    ...interactive,
    ...layout,
    ...constants,
    ...errorClasses,
  };
  expose(surface, host);
  installWeb(host);
  return {
    dispatch(name, payload, meta) {
      if (name === secretsChanged) return secrets.replace(payload);
      if (crons.owns(name)) return crons.run(name, payload, meta);
      // A task that nobody does is not done; the host keeps it and tries again.
      if (name === "TASK" && !handlers.handles("task")) throw new Error('nobody does tasks: on("task", …) is missing');
      return handlers.dispatch(name, payload, meta);
    },
  };
}

function expose(surface: object, host: Host): void {
  for (const [name, value] of Object.entries({ ...surface, flora: Object.freeze(surface) })) {
    Object.defineProperty(globalThis, name, { value, enumerable: true });
  }
  // The guild is known after the fork only.
  Object.defineProperty(globalThis, "__floraGuildId", { get: () => host.guildId });
}
