import { bot, discordError, expect, test } from "flora:test";

test("words that do not stay", async () => {
  const { text, lines } = await bot.message("Oh HECK no", { user: "ben" });
  expect(text).toBe(`<@${bot.users.ben}>, mind your words, please.`);
  expect(lines[0]!.text).toMatch(/^deleted message \d+ of ben$/);
  expect((await bot.messages()).map((each) => each.content)).not.toContain("Oh HECK no");
  expect((await bot.message("what a checker", { user: "ben" })).calls).toEqual([]);
});

test("warnings are counted", async () => {
  const options = { user: "ben", reason: "manners" };
  expect((await bot.slash("warn", options, { user: "mod" })).text).toMatch(": manners (1 so far).");
  expect((await bot.slash("warn", { user: "ben" }, { user: "mod" })).text).toMatch("(2 so far).");
  await expect(bot.slash("warn", options, { user: "cleo" })).rejects.toThrow("cleo may not use warn");
});

test("a break", async () => {
  const { ephemeral } = await bot.slash("timeout", { user: "ben", minutes: 30 }, { user: "mod" });
  expect(ephemeral).toBe(true);
  const until = (await guild.member(bot.users.ben!)).communicationDisabledUntil;
  expect(Date.parse(until!)).toBe(Date.now() + 30 * 60_000);
});

test("what Discord refuses is logged and said", async () => {
  bot.stub("editMember", discordError(403, 50013, "Missing Permissions"));
  const { text, lines } = await bot.slash("timeout", { user: "ben" }, { user: "mod" });
  expect(text).toMatch("That did not work");
  expect(lines[0]).toMatchObject({ level: "error", text: expect.stringContaining("Missing Permissions") });
});

test("reports go to the log", async () => {
  await bot.message("something odd", { user: "ben" });
  const [message] = await bot.messages();
  const { text, lines } = await bot.menu("Report", message!);
  expect(text).toMatch("Thank you");
  expect(lines[0]!.text).toMatch(`reports message ${message!.id}`);
});
