import { bot, describe, expect, test } from "flora:test";

test("!ping answers pong, with what came after it", async () => {
  expect((await bot.message("!ping")).text).toBe("pong");
  expect((await bot.message("!ping a  b")).text).toBe("pong (a b)");
});

test("/hello greets, seen by the asker only", async () => {
  const greeting = await bot.slash("hello", { name: "Bo" });
  expect(greeting.text).toBe("Hello, Bo!");
  expect(greeting.ephemeral).toBe(true);
  expect((await bot.slash("hello")).text).toBe("Hello, world!");
});

describe("/counter", () => {
  test("counts", async () => {
    expect((await bot.slash("counter get")).text).toBe("Current count: 0");
    await bot.slash("counter increment");
    expect((await bot.slash("counter increment")).text).toBe("Count is now: 2");
  });

  test("starts over", async () => {
    await kv.store("counters").set("main", "41");
    expect((await bot.slash("counter reset")).text).toBe("Counter reset to 0");
    expect(await kv.store("counters").get("main")).toBe("0");
  });
});
