import { bot, expect, test } from "flora:test";

const HOUR = 3_600_000;
const as = { user: "owner" };

const contents = async () => (await bot.messages("bots")).map((each) => each.content);

/** The test's time begins on Thursday, 2026-01-01, at midnight UTC. */
async function choose() {
  await bot.slash("announcements here", {}, { ...as, channel: "bots" });
}

test("good morning on weekdays at nine in Berlin", async () => {
  await choose();
  await bot.advance(8 * HOUR - 1);
  expect(await contents()).not.toContain("Good morning! Remember to water the ferns.");
  await bot.advance(1);
  expect((await contents()).at(-1)).toBe("Good morning! Remember to water the ferns.");
  const { messages } = await bot.advance(4 * 24 * HOUR);
  expect(messages.map((each) => each.content.slice(0, 12))).toEqual(["Good morning", "The week is ", "Good morning"]);
});

test("nothing is said before a channel is chosen", async () => {
  const { lines, calls } = await bot.cron("look-back");
  expect(lines[0]).toMatchObject({ level: "warn" });
  expect(calls.map((call) => call.method)).toEqual(["kvGet"]);
});

test("single announcements are made when their time has come", async () => {
  await choose();
  const { text } = await bot.slash("announce", { in: "2h", text: "The greenhouse opens" }, as);
  expect(text).toMatch("It will be announced at 2026-01-01T02:00:00");
  expect((await bot.slash("announcements list", {}, as)).text).toMatch("The greenhouse opens");
  await bot.advance(2 * HOUR);
  expect((await contents()).at(-1)).toBe(`The greenhouse opens\n— <@${bot.users.owner}>`);
  expect((await bot.slash("announcements list", {}, as)).text).toBe("None waits.");
});

test("or taken back", async () => {
  await choose();
  const { text } = await bot.slash("announce", { in: "1d", text: "Never mind" }, as);
  const [, id] = /\(`(\d+)`\)/.exec(text!)!;
  expect((await bot.slash("announcements cancel", { id }, as)).text).toBe("Cancelled.");
  expect((await bot.slash("announcements cancel", { id }, as)).text).toBe("There is no such announcement.");
  expect((await bot.slash("announce", { in: "soon", text: "x" }, as)).text).toMatch("Say when");
});
