import { bot, describe, expect, test } from "flora:test";
import { levelOf, pointsFor } from "./levels";

const A_MINUTE = 60_000;

test("a message earns points, once a minute", async () => {
  await bot.message("one", { user: "ben" });
  await bot.message("two", { user: "ben" });
  expect((await bot.slash("rank", { user: "ben" })).text).toMatch("level 0 with 15 points, number 1 here; 85 more");
  await bot.advance(A_MINUTE);
  await bot.message("three", { user: "ben" });
  expect((await bot.slash("rank", { user: "ben" })).text).toMatch("30 points");
});

test("a new level is announced, once", async () => {
  await kv.store("points").set(bot.users.cleo!, "90");
  const first = await bot.message("hello", { user: "cleo" });
  expect(first.text).toBe(`<@${bot.users.cleo}> has reached level 1!`);
  await bot.advance(A_MINUTE);
  expect((await bot.message("hello", { user: "cleo" })).text).toBeUndefined();
});

test("the leaderboard has the most points first", async () => {
  await kv.store("points").set(bot.users.ben!, "300");
  await kv.store("points").set(bot.users.cleo!, "1000");
  const { message } = await bot.slash("leaderboard");
  expect(message!.embeds[0].description.split("\n")).toEqual([
    `1. <@${bot.users.cleo}> level 4, 1000 points`,
    `2. <@${bot.users.ben}> level 2, 300 points`,
  ]);
});

describe("levels", () => {
  for (const level of [1, 2, 3, 10, 100]) {
    test(`${level}`, () => {
      expect(levelOf(pointsFor(level))).toBe(level);
      expect(levelOf(pointsFor(level) - 1)).toBe(level - 1);
    });
  }
});
