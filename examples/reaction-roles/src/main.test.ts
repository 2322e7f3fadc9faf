import { beforeEach, bot, expect, test } from "flora:test";

let message: RawMessage;
let gardeners: string;

const rolesOf = async (user: string) => (await guild.member(bot.users[user]!)).roles;

beforeEach(async () => {
  gardeners = await bot.addRole("gardeners");
  await bot.message("React for a role!", { user: "owner" });
  message = (await bot.messages())[0]!;
  const added = await bot.slash("roles add", { message: message.id, emoji: "🌱", role: "gardeners" }, { user: "owner" });
  expect(added.text).toBe(`🌱 gives <@&${gardeners}>.`);
});

test("a reaction gives the role, without it the role goes", async () => {
  await bot.react("🌱", message, { user: "ben" });
  expect(await rolesOf("ben")).toEqual([gardeners]);
  expect(await rolesOf("cleo")).toEqual([]);
  await bot.unreact("🌱", message, { user: "ben" });
  expect(await rolesOf("ben")).toEqual([]);
});

test("other reactions and messages do nothing", async () => {
  await bot.react("🌷", message, { user: "ben" });
  expect(await rolesOf("ben")).toEqual([]);
});

test("what is untied does nothing any more", async () => {
  const options = { message: message.id, emoji: "🌱" };
  expect((await bot.slash("roles remove", options, { user: "owner" })).text).toBe("Untied.");
  expect((await bot.slash("roles remove", options, { user: "owner" })).text).toBe("Nothing was tied to it.");
  await bot.react("🌱", message, { user: "ben" });
  expect(await rolesOf("ben")).toEqual([]);
});

test("with the message its ties go", async () => {
  expect((await bot.slash("roles list", {}, { user: "owner" })).text).toMatch(message.id);
  await bot.delete(message, { user: "owner" });
  expect((await bot.slash("roles list", {}, { user: "owner" })).text).toBe("Nothing is tied.");
});

test("a message that is not there", async () => {
  const { text } = await bot.slash("roles add", { message: "1", emoji: "🌱", role: "gardeners" }, { user: "owner" });
  expect(text).toMatch("no such message");
});
