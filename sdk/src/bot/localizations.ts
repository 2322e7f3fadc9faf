import { invalid } from "../errors";
import { Object, Set } from "../intrinsics";
import { isObject, type Json } from "../json";

/** https://discord.com/developers/docs/reference#locales */
const LOCALES: readonly string[] = [
  ..."ar bg cs da de el en-GB en-US es-419 es-ES fi fr he hi hr hu id it ja ko lt nl no pl".split(" "),
  ..."pt-BR ro ru sv-SE th tr uk vi zh-CN zh-TW".split(" "),
];
const known = new Set(LOCALES);

/**
 * `nameLocalizations` and `descriptionLocalizations` under Discord's names. `checkText` throws for a text that Discord
 * would refuse, as for the text that stands without a language.
 */
export function localized(value: Json, what: "name" | "description", where: string, checkText: Check): unknown {
  const texts = value[`${what}Localizations`] ?? value[`${what}_localizations`];
  if (texts === undefined || texts === null) return texts;
  const field = `${where}.${what}Localizations`;
  if (!isObject(texts)) throw invalid(field, 'texts by language are needed, such as { de: "hallo" }');
  const out: Json = {};
  for (const locale of Object.keys(texts)) {
    if (!known.has(locale)) throw invalid(field, `"${locale}" is none of Discord's languages; ${suggestion(locale)}`);
    const text = texts[locale];
    if (text === null || text === undefined) continue; // Discord takes texts only
    checkText(text, `${field}.${locale}`);
    out[locale] = text;
  }
  return out;
}

export type Check = (text: unknown, where: string) => void;

/** The mistake is mostly one of region: "en" for "en-GB", "de-DE" for "de". */
function suggestion(locale: string): string {
  const language = locale.toLowerCase().split(/[-_]/)[0]!;
  const near = LOCALES.filter((each) => each.split("-")[0] === language);
  return `use ${near.length > 0 ? near.join(" or ") : `one of ${LOCALES.join(", ")}`}`;
}
