export interface Reference {
  /** `owner/repo` */
  repo: string;
  number: number;
}

const LINK = /https:\/\/github\.com\/([\w.-]+\/[\w.-]+)\/(?:issues|pull)\/(\d{1,9})\b/g;
const SHORT = /(?<![\w./-])([\w.-]+\/[\w.-]+)#(\d{1,9})\b/g;

/** The issues and pull requests that a text mentions, each once, in the order of the text. */
export function mentioned(text: string): Reference[] {
  if (text.includes("-ignore")) return [];
  const open = text.replace(/<https?:[^>]*>/g, (link) => " ".repeat(link.length));
  const found = [...open.matchAll(LINK), ...open.matchAll(SHORT)].sort((a, b) => a.index - b.index);
  const references = new Map<string, Reference>();
  for (const [, repo = "", number = ""] of found) {
    references.set(`${repo.toLowerCase()}#${number}`, { repo, number: Number(number) });
  }
  return [...references.values()];
}
