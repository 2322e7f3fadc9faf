import { afterEach, beforeEach, bot, describe, discordError, expect, test } from "flora:test";

test("a message, and all that the bot did about it", async () => {
  const result = await bot.message("!ping", { user: "ben", channel: "bots" });
  expect(result.text).toBe("pong");
  expect(result.message!.channel_id).toBe(bot.channels.bots);
  expect(result.replies).toHaveLength(1);
  expect(result.firstReply).toMatchObject({ content: "pong", channelId: bot.channels.bots });
  expect(result.calls[0]).toMatchObject({ op: "op_send_message", method: "sendMessage", error: null });
  expect((await bot.messages("bots")).map((each) => each.content)).toEqual(["!ping", "pong"]);
});

test("what a handler throws is what the step rejects with", async () => {
  await expect(bot.message("!boom")).rejects.toBeInstanceOf(TypeError);
  await expect(bot.message("!boom")).rejects.toThrow("boom");
});

test("a slash command is deferred, filled and followed up", async () => {
  const result = await bot.slash("add", { a: 41, who: "cleo" });
  expect(result.text).toBe(`42 ${bot.users.cleo}`);
  expect(result.messages.map((each) => each.content)).toEqual([`42 ${bot.users.cleo}`, "and more"]);
  expect(result.defers).toHaveLength(1);
  expect(result.edits).toHaveLength(1);
  expect(result.followups[0]!.args.content).toBe("and more");
});

test("a command is used as Discord lets it be used", async () => {
  await expect(bot.slash("nothing")).rejects.toThrow("There is no command 'nothing'");
  await expect(bot.slash("add")).rejects.toThrow("needs a");
  await expect(bot.slash("add", { a: 101 })).rejects.toThrow("at most 100");
  await expect(bot.slash("add", { a: 1 }, { user: "nobody" })).rejects.toThrow("nobody");
});

test("autocomplete", async () => {
  const { choices } = await bot.autocomplete("add", "plant", "f", { a: 1 });
  expect(choices).toEqual([{ name: "fern", value: "fern" }]);
});

test("a modal is opened and sent", async () => {
  const { modal } = await bot.slash("form");
  expect(modal?.title).toBe("A form");
  await expect(bot.modal("other")).rejects.toThrow("The modal that is open is 'form'");
  expect((await bot.modal("form", { words: "hello" })).text).toBe("said hello");
  await expect(bot.modal("form")).rejects.toThrow("No modal is open");
});

test("buttons and selects", async () => {
  const panel = await bot.slash("panel");
  const picked = await bot.component("pick", { values: ["2"], user: "ben" });
  expect(picked.text).toBe("picked 2");
  expect(picked.ephemeral).toBe(true);
  const gone = await bot.component("go", { message: panel.message! });
  expect(gone.message).toMatchObject({ id: panel.message!.id, content: "Gone", components: [] });
  await expect(bot.component("go")).rejects.toThrow("has a component 'go'");
});

test("context menus", async () => {
  expect((await bot.menu("Wave", "cleo")).text).toBe("waves at cleo");
  const { message } = await bot.message("!ping");
  expect((await bot.menu("Quote", message!)).text).toBe("> pong");
});

test("people come, go and react", async () => {
  expect((await bot.join("zoe")).text).toBe("welcome zoe");
  const { message } = await bot.message("!who", { user: "zoe" });
  expect(message!.content).toBe("zoe");
  expect((await bot.react("🌱", message!)).logs).toEqual([["reaction", { emoji: "🌱" }]]);
  await bot.leave("zoe");
  const zoe: string = message!.mentions[0].id;
  await expect(guild.member(zoe)).rejects.toMatchObject({ discordCode: 10007 });
});

describe("time", () => {
  test("stands still until it is moved", async () => {
    const began = Date.now();
    expect(new Date(began).toISOString()).toBe("2026-01-01T00:00:00.000Z");
    const slow = bot.message("!slow");
    await bot.advance(59_999);
    expect((await bot.calls()).filter((call) => call.method === "sendMessage")).toEqual([]);
    await bot.advance(1);
    expect((await slow).text).toBe("it is 2026-01-01T00:01:00.000Z");
    expect(Date.now() - began).toBe(60_000);
    expect(new Date()).toEqual(new Date(began + 60_000));
    expect(new Date() instanceof Date).toBe(true);
  });

  test("timers run each at its time, intervals again and again", async () => {
    const { lines } = await bot.advance(3_700_000);
    expect(lines).toEqual([1, 2, 3].map(() => ({ level: "debug", text: "tick" })));
    await bot.message("!later", { channel: "bots" });
    const { calls } = await bot.advance(5_000);
    expect(calls.filter((call) => call.method === "deleteMessage")).toHaveLength(1);
    expect((await bot.messages("bots")).map((each) => each.content)).toEqual(["!later"]);
  });

  test("a timer that is cleared does not run", async () => {
    let ran = 0;
    const once = setTimeout(() => (ran += 1), 10);
    const often: number = setInterval(() => (ran += 10) >= 20 && clearInterval(often), 10);
    clearTimeout(once);
    await bot.advance(100);
    expect(ran).toBe(20);
  });

  test("cooldowns and expiries follow it", async () => {
    expect((await bot.message("!cool")).text).toBe("cool");
    expect((await bot.message("!cool")).text).toMatch("try again in 10 seconds");
    await kv.store("short").set("key", "value", { ttl: 60 });
    await bot.advance(10_000);
    expect((await bot.message("!cool")).text).toBe("cool");
    expect(await kv.store("short").get("key")).toBe("value");
    await bot.advance(60_000);
    expect(await kv.store("short").get("key")).toBeNull();
  });
});

describe("stubs", () => {
  test("answer in place of the guild", async () => {
    bot.stub("sendMessage", discordError(403, 50013, "Missing Permissions"));
    await expect(bot.message("!ping")).rejects.toMatchObject({ status: 403, discordCode: 50013 });
    bot.stub("rest.sendMessage", (args: { content: string }) => ({ id: "5", content: args.content }));
    const { calls } = await bot.message("!ping");
    expect(calls[0]).toMatchObject({ method: "sendMessage", result: { id: "5", content: "pong" } });
    bot.unstub("sendMessage");
    expect((await bot.message("!ping")).text).toBe("pong");
  });

  test("secrets", async () => {
    expect((await bot.message("!secret")).text).toBe("none");
    bot.secret("key", "a placeholder");
    expect((await bot.message("!secret")).text).toBe("a placeholder");
  });
});

describe("each test has a guild of its own", () => {
  const order: string[] = [];
  beforeEach(() => order.push("before"));
  afterEach(async () => {
    expect(order).toContain("before");
  });
  for (const round of [1, 2]) {
    test(`round ${round}`, async () => {
      expect(await kv.store("own").increment("rounds")).toBe(1);
      expect(await bot.messages()).toEqual([]);
      expect(order).toEqual(["before"]);
      await bot.message("hello");
    });
  }
});

test("roles and channels", async () => {
  const role = await bot.addRole("testers", { permissions: permissionBits("BanMembers") });
  await bot.grant("ben", "testers");
  expect(await guild.can("BanMembers", { userId: bot.users.ben! })).toBe(true);
  expect((await guild.role(role))?.name).toBe("testers");
  const channel = await bot.addChannel("lab");
  expect((await bot.message("!ping", { channel: "lab" })).message!.channel_id).toBe(channel);
});

test("any event, by flora's or Discord's name", async () => {
  const emoji = { id: null, name: "🌷" };
  const { lines } = await bot.event("reactionAdd", { channel_id: bot.channels.general, message_id: "1", emoji });
  expect(lines[0]!.text).toMatch("🌷");
  expect((await bot.event("MESSAGE_REACTION_ADD", { emoji })).lines).toHaveLength(1);
});

test("attachments by URL get what the test answers", async () => {
  await expect(bot.message("!leaf")).rejects.toThrow("nothing answers GET https://cdn.test/a/leaf%20one.png");
  bot.fetch("https://cdn.test/", () => new Response(new Uint8Array([1, 2, 3]), { headers: { "content-type": "image/png" } }));
  const { message } = await bot.message("!leaf");
  expect(message?.attachments).toMatchObject([{ filename: "leaf_one.png", size: 3, content_type: "image/png" }]);
  bot.fetch("https://cdn.test/", () => new Response("no", { status: 404 }));
  await expect(bot.message("!leaf")).rejects.toThrow("answered 404");
});

test.skip("is not run", () => {
  throw new Error("it ran");
});
test.todo("is missing");

describe("schedules", () => {
  test("cron jobs run at their times, and by hand", async () => {
    const { messages } = await bot.advance(2 * 3_600_000);
    expect(messages.map((each) => each.content)).toEqual([
      "hourly 2026-01-01T01:00:00.000Z schedule",
      "hourly 2026-01-01T02:00:00.000Z schedule",
    ]);
    expect((await bot.cron("hourly")).text).toMatch("manual");
    await expect(bot.cron("daily")).rejects.toThrow("no cron job 'daily'");
  });

  test("tasks are done when they are due", async () => {
    await bot.message("remind");
    expect(await tasks.list()).toMatchObject([{ key: "tea", at: "2026-01-01T00:10:00.000Z" }]);
    expect((await bot.advance(599_999)).messages).toEqual([]);
    expect((await bot.advance(1)).text).toBe('task {"tea":true} 1');
    expect(await tasks.list()).toEqual([]);
  });
});
