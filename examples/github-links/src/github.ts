import type { Reference } from "./links";

const settings = kv.store("settings");

/** https://docs.github.com/en/rest/issues/issues#get-an-issue; pull requests are issues too. */
interface Issue {
  title: string;
  html_url: string;
  state: "open" | "closed";
  body: string | null;
  user: { login: string; avatar_url: string } | null;
  comments: number;
  created_at: string;
  pull_request?: { merged_at: string | null };
}

/** The card of an issue or pull request; null where GitHub shows none. */
export async function cardOf({ repo, number }: Reference): Promise<EmbedBuilder | null> {
  const api = (await settings.get("api")) ?? "https://api.github.com";
  const token = secrets.get("github");
  const response = await fetch(`${api}/repos/${repo}/issues/${number}`, {
    headers: {
      accept: "application/vnd.github+json",
      "user-agent": "flora",
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    },
    signal: AbortSignal.timeout(2_000),
  });
  if (!response.ok) {
    if (response.status !== 404) console.warn(`GitHub answers ${response.status} for ${repo}#${number}`);
    return null;
  }
  const issue = (await response.json()) as Issue;
  const { color, state } = stateOf(issue);
  const card = embed()
    .setTitle(`${issue.title} · ${repo}#${number}`.slice(0, 256))
    .setUrl(issue.html_url)
    .setColor(color)
    .setTimestamp(issue.created_at)
    .setFooter(`${state}, ${issue.comments} ${issue.comments === 1 ? "comment" : "comments"}`);
  if (issue.body) card.setDescription(issue.body.length > 300 ? `${issue.body.slice(0, 300)}…` : issue.body);
  if (issue.user !== null) card.setAuthor(issue.user.login, { iconUrl: issue.user.avatar_url });
  return card;
}

function stateOf({ state, pull_request: pull }: Issue): { color: number; state: string } {
  if (pull?.merged_at) return { color: 0x8250df, state: "merged" };
  return state === "open" ? { color: 0x1f883d, state } : { color: 0xcf222e, state };
}
