import { bot, describe, expect, test } from "flora:test";
import { mentioned } from "./links";

const issue = (number: number, more: object = {}) => ({
  title: `Issue ${number}`,
  html_url: `https://github.com/a/b/issues/${number}`,
  state: "open",
  body: "It does not work.",
  user: { login: "ann", avatar_url: "https://github.com/ann.png" },
  comments: 1,
  created_at: "2026-01-01T00:00:00Z",
  ...more,
});

test("an issue becomes a card", async () => {
  bot.fetch("https://api.github.com/repos/a/b/issues/7", issue(7));
  const { message, calls } = await bot.message("see a/b#7");
  expect(message!.embeds).toHaveLength(1);
  expect(message!.embeds[0]).toMatchObject({
    title: "Issue 7 · a/b#7",
    url: "https://github.com/a/b/issues/7",
    footer: { text: "open, 1 comment" },
    author: { name: "ann" },
  });
  const request = calls.find((call) => call.method === "fetch");
  expect(request?.args.headers.authorization).toBeUndefined();
  expect(calls.at(-1)).toMatchObject({ method: "editMessage", args: { flags: MessageFlags.SUPPRESS_EMBEDS } });
});

test("a token goes along where there is one", async () => {
  bot.secret("github", "placeholder");
  bot.fetch("https://api.github.com/", issue(1, { state: "closed", pull_request: { merged_at: "2026-01-01" } }));
  const { message, calls } = await bot.message("https://github.com/a/b/pull/1");
  expect(calls.find((call) => call.method === "fetch")?.args.headers.authorization).toBe("Bearer placeholder");
  expect(message!.embeds[0].footer.text).toBe("merged, 1 comment");
});

test("ten at most", async () => {
  bot.fetch("https://api.github.com/", issue(1));
  const { text, message } = await bot.message(Array.from({ length: 12 }, (_, n) => `a/b#${n + 1}`).join(" "));
  expect(text).toBe("Showing 10 of 12 GitHub links.");
  expect(message!.embeds).toHaveLength(10);
});

test("what GitHub does not show is passed over", async () => {
  bot.fetch("https://api.github.com/repos/a/b/issues/1", () => new Response("{}", { status: 404 }));
  bot.fetch("https://api.github.com/repos/a/b/issues/2", () => new Response("{}", { status: 403 }));
  const { messages, lines } = await bot.message("a/b#1 and a/b#2");
  expect(messages).toEqual([]);
  expect(lines).toEqual([{ level: "warn", text: "GitHub answers 403 for a/b#2" }]);
});

describe("what is mentioned", () => {
  const cases: [string, string[]][] = [
    ["https://github.com/a/b/issues/1 and a/b#1", ["a/b#1"]],
    ["c-d/e.f#22, https://github.com/a/b/pull/3!", ["c-d/e.f#22", "a/b#3"]],
    ["<https://github.com/a/b/issues/1>", []],
    ["a/b#1 -ignore", []],
    ["#1, b#1, /a/b#1, a/b#x", []],
  ];
  for (const [text, expected] of cases) {
    test(text, () => {
      expect(mentioned(text).map(({ repo, number }) => `${repo}#${number}`)).toEqual(expected);
    });
  }
});
