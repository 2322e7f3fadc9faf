import { invalid } from "../errors";
import { Array, Map, Object, Set } from "../intrinsics";
import { defined, isObject, type Json } from "../json";
import { permissionBits } from "../permissions";
import { localized } from "./localizations";

/*
 * Application commands: from the way scripts write them to Discord's JSON.
 * https://discord.com/developers/docs/interactions/application-commands#application-command-object
 */

/** A command as scripts write it, checked before anything of it is used. */
export type Definition = Json & { readonly name?: unknown };

export function definitions(value: unknown): readonly Definition[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** Groups and subcommands become options; handlers are left out. Every other field stays as it was written. */
export function flattenCommands(commands: unknown): FlattenedSlashCommand[] {
  return definitions(commands).map((command) => {
    const { run: _, subcommands, groups, options, ...rest } = withoutProtection(command);
    const nested = [...definitions(groups).map(flattenGroup), ...definitions(subcommands).map(flattenSubcommand)];
    return { ...rest, options: nested.length > 0 ? nested : options } as FlattenedSlashCommand;
  });
}

function flattenGroup(group: Definition): Json {
  const { subcommands, ...rest } = withoutProtection(group);
  return { ...rest, type: "subcommand_group", options: definitions(subcommands).map(flattenSubcommand) };
}

function flattenSubcommand(subcommand: Definition): Json {
  const { run: _, ...rest } = withoutProtection(subcommand);
  return { ...rest, type: "subcommand" };
}

/** What createBot checks itself is none of Discord's business. */
function withoutProtection(command: Definition): Json {
  const { guards: _, cooldown: __, requiredRoles: ___, requiredPermissions: ____, ...rest } = command;
  return rest;
}

const commandTypes = new Map<unknown, number>([
  ["user", 2],
  ["message", 3],
]);
const CHAT_INPUT = 1;

const optionTypes: { readonly [name: string]: number } = {
  subcommand: 1,
  subcommand_group: 2,
  string: 3,
  integer: 4,
  boolean: 5,
  user: 6,
  channel: 7,
  role: 8,
  mentionable: 9,
  number: 10,
  attachment: 11,
};
const contexts: { readonly [name: string]: number } = { guild: 0, botDm: 1, privateChannel: 2 };
const channelTypes: { readonly [name: string]: number } = {
  text: 0,
  voice: 2,
  category: 4,
  announcement: 5,
  announcementThread: 10,
  publicThread: 11,
  privateThread: 12,
  stage: 13,
  forum: 15,
  media: 16,
};

const MAX_OPTIONS = 25;
const MAX_CHOICES = 25;
/** Chat input, user and message commands of one guild. */
const MAX_COMMANDS: { readonly [type: number]: number } = { 1: 100, 2: 5, 3: 5 };
const NAME = /^[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]{1,32}$/u;

/** Discord's JSON of a whole set of commands. Throws InvalidInputError, naming the command, for what Discord refuses. */
export function discordCommands(commands: unknown): Json[] {
  if (!Array.isArray(commands)) throw invalid("commands", "a list of commands is needed");
  const seen = new Set<string>();
  const counts = new Map<number, number>();
  return commands.map((command) => {
    if (!isObject(command)) throw invalid("commands", "each command must be an object");
    const made = discordCommand(command);
    const type = made.type as number;
    const key = `${type}:${made.name}`;
    if (seen.has(key)) throw invalid(`command "${made.name}"`, "there are two of this name");
    seen.add(key);
    const count = (counts.get(type) ?? 0) + 1;
    counts.set(type, count);
    const limit = MAX_COMMANDS[type];
    if (limit !== undefined && count > limit) throw invalid("commands", `Discord takes at most ${limit} of one kind`);
    return made;
  });
}

function discordCommand(command: Json): Json {
  const type = typeof command.type === "number" ? command.type : (commandTypes.get(command.type) ?? CHAT_INPUT);
  const name = command.name;
  const where = `command "${name}"`;
  const typed = type === CHAT_INPUT;
  if (typed) {
    checkName(name, where);
    checkDescription(command.description, `${where}.description`);
  } else {
    checkMenuName(name, `${where}.name`);
  }
  return defined({
    type,
    name,
    name_localizations: localized(command, "name", where, typed ? checkName : checkMenuName),
    description: typed ? command.description : undefined,
    description_localizations: typed ? localized(command, "description", where, checkDescription) : undefined,
    options: discordOptions(command.options, where),
    default_member_permissions: memberPermissions(command),
    nsfw: command.nsfw,
    contexts: numbers(command.contexts, contexts, `${where}.contexts`),
  });
}

function memberPermissions(command: Json): string | null | undefined {
  const value = command.defaultMemberPermissions ?? command.default_member_permissions;
  return value === undefined || value === null ? value : permissionBits(value);
}

function discordOptions(value: unknown, where: string): Json[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) throw invalid(`${where}.options`, "a list is needed");
  if (value.length > MAX_OPTIONS) throw invalid(`${where}.options`, `Discord takes at most ${MAX_OPTIONS}`);
  const seen = new Set<unknown>();
  let optional: unknown = undefined;
  return value.map((option) => {
    if (!isObject(option)) throw invalid(`${where}.options`, "each option must be an object");
    if (seen.has(option.name)) throw invalid(where, `there are two options named "${option.name}"`);
    seen.add(option.name);
    if (option.required !== true) optional ??= option.name;
    else if (optional !== undefined) {
      throw invalid(where, `the required option "${option.name}" must come before the optional "${optional}"`);
    }
    return discordOption(option, `${where} option "${option.name}"`);
  });
}

function discordOption(option: Json, where: string): Json {
  checkName(option.name, where);
  checkDescription(option.description, `${where}.description`);
  const type = optionType(option.type, where);
  const autocomplete = option.autocomplete === undefined ? undefined : option.autocomplete !== false;
  const choices = discordChoices(option.choices, where);
  if (autocomplete && choices) throw invalid(where, "it cannot have both choices and autocomplete");
  return defined({
    type,
    name: option.name,
    name_localizations: localized(option, "name", where, checkName),
    description: option.description,
    description_localizations: localized(option, "description", where, checkDescription),
    required: option.required,
    choices,
    options: discordOptions(option.options, where),
    channel_types: numbers(option.channelTypes ?? option.channel_types, channelTypes, `${where}.channelTypes`),
    ...range(option, "Value", where),
    ...range(option, "Length", where),
    autocomplete,
  });
}

function optionType(type: unknown, where: string): number {
  if (type === undefined) return 3;
  if (typeof type === "number") return type;
  if (typeof type === "string" && Object.hasOwn(optionTypes, type)) return optionTypes[type] ?? 3;
  throw invalid(`${where}.type`, `"${type}" is unknown; use one of ${Object.keys(optionTypes).join(", ")}`);
}

function discordChoices(value: unknown, where: string): Json[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) throw invalid(`${where}.choices`, "a list is needed");
  if (value.length > MAX_CHOICES) throw invalid(`${where}.choices`, `Discord takes at most ${MAX_CHOICES}`);
  return value.map((choice) => {
    if (!isObject(choice)) return { name: `${choice}`, value: choice };
    checkDescription(choice.name, `${where}.choices`);
    return defined({
      name: choice.name,
      name_localizations: localized(choice, "name", `${where} choice "${choice.name}"`, checkDescription),
      value: choice.value,
    });
  });
}

function range(option: Json, unit: "Value" | "Length", where: string): Json {
  const key = unit.toLowerCase();
  const low = option[`min${unit}`] ?? option[`min_${key}`];
  const high = option[`max${unit}`] ?? option[`max_${key}`];
  for (const bound of [low, high]) {
    if (bound !== undefined && typeof bound !== "number") throw invalid(where, `min${unit} and max${unit} are numbers`);
  }
  if (typeof low === "number" && typeof high === "number" && low > high) {
    throw invalid(where, `min${unit} ${low} is greater than max${unit} ${high}`);
  }
  return { [`min_${key}`]: low, [`max_${key}`]: high };
}

function numbers(value: unknown, names: { readonly [name: string]: number }, where: string): number[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) throw invalid(where, "a list is needed");
  return value.map((each) => {
    if (typeof each === "number") return each;
    const number = typeof each === "string" && Object.hasOwn(names, each) ? names[each] : undefined;
    if (number === undefined) throw invalid(where, `"${each}" is unknown; use one of ${Object.keys(names).join(", ")}`);
    return number;
  });
}

function checkName(name: unknown, where: string): void {
  if (typeof name !== "string" || !NAME.test(name) || name !== name.toLowerCase()) {
    throw invalid(where, "a name has 1 to 32 letters, digits, - or _, all in lower case");
  }
}

function checkMenuName(value: unknown, where: string): void {
  checkText(value, where, 1, 32);
}

/** Names of choices are as long as descriptions. */
function checkDescription(value: unknown, where: string): void {
  checkText(value, where, 1, 100);
}

function checkText(value: unknown, where: string, least: number, most: number): void {
  if (typeof value !== "string" || value.length < least || value.length > most) {
    throw invalid(where, `text of ${least} to ${most} characters is needed`);
  }
}
