import { bot, expect, test } from "flora:test";

test("says hello", async () => {
  expect((await bot.message("hello")).text).toBe("Hello, ann!");
  expect((await bot.message("good night")).text).toBeUndefined();
});
