import { beforeEach, bot, expect, test } from "flora:test";

beforeEach(async () => {
  await bot.slash("tag create", { name: "Rules", text: "Be kind, @everyone." }, { user: "ben" });
});

test("a tag is called up by anybody, and rings for nobody", async () => {
  const { text, message } = await bot.slash("tag view", { name: "rules" }, { user: "cleo" });
  expect(text).toBe("Be kind, @everyone.");
  expect(message!.mention_everyone).toBe(false);
});

test("names are suggested", async () => {
  await bot.slash("tag create", { name: "roses", text: "Red." });
  const { choices } = await bot.autocomplete("tag view", "name", "r");
  expect(choices.map((each) => each.value)).toEqual(["roses", "rules"]);
});

test("a name is taken once", async () => {
  const again = await bot.slash("tag create", { name: "RULES", text: "Mine." });
  expect(again.text).toBe("There is a tag `rules` already.");
  expect(again.ephemeral).toBe(true);
});

test("its owner and moderators change it, others do not", async () => {
  expect((await bot.slash("tag edit", { name: "rules", text: "No." }, { user: "cleo" })).text).toMatch("somebody else's");
  await bot.slash("tag edit", { name: "rules", text: "Water daily." }, { user: "ben" });
  expect((await bot.slash("tag view", { name: "rules" })).text).toBe("Water daily.");
  await bot.slash("tag edit", { name: "rules", text: "Water." }, { user: "mod" });
  await bot.slash("tag delete", { name: "rules" }, { user: "ben" });
  expect((await bot.slash("tag view", { name: "rules" })).text).toBe("There is no tag `rules`.");
  expect((await bot.slash("tag list")).text).toBe("There are no tags yet.");
});
