// The cases of the first flora's harness.
import { TestHarness, expect, it, makeInteraction, makeMessage, makeReady, makeUser } from "flora:test";

function commands(): void {
  createBot({
    prefix: "!",
    commands: [
      { name: "ping", run: (ctx) => ctx.reply("pong") },
      { name: "echo", run: (ctx) => ctx.reply(ctx.args.join(" ")) },
    ],
    slashCommands: [
      slash({
        name: "greet",
        description: "Greets",
        options: [{ name: "name", description: "Whom" }],
        run: (ctx) => ctx.reply(`Hello, ${ctx.options.name}!`),
      }),
    ],
  });
}

it("a prefix command replies", async () => {
  const harness = new TestHarness();
  await harness.setup(commands);
  const { replies, firstReply } = await harness.message({ content: "!ping" });
  expect(replies).toHaveLength(1);
  expect(firstReply?.content).toBe("pong");
  expect((await harness.message({ content: "!echo hello world" })).firstReply?.content).toBe("hello world");
});

it("others do not get one", async () => {
  const harness = new TestHarness();
  await harness.setup(commands);
  expect((await harness.message({ content: "hello" })).replies).toEqual([]);
  expect((await harness.message({ content: "!ping", author: { bot: true } })).replies).toEqual([]);
});

it("a slash command answers through op_send_interaction_response", async () => {
  const harness = new TestHarness();
  await harness.setup(commands);
  const { replies } = await harness.interaction("greet", { name: "World" });
  expect(replies[0]).toMatchObject({ op: "op_send_interaction_response", args: { content: "Hello, World!" } });
});

it("components and modals", async () => {
  const harness = new TestHarness();
  await harness.setup(() => {
    on("componentInteraction", (ctx) => ctx.reply(`clicked: ${ctx.msg.data.custom_id}`));
    on("modalSubmit", (ctx) => ctx.reply(`modal: ${ctx.msg.data.custom_id} ${ctx.fields.words}`));
  });
  expect((await harness.componentInteraction("btn-confirm")).firstReply?.content).toBe("clicked: btn-confirm");
  const sent = await harness.modalSubmit("feedback-form", { words: "fine" });
  expect(sent.firstReply?.content).toBe("modal: feedback-form fine");
});

it("the key-value store is there", async () => {
  const { kv: store } = new TestHarness();
  const values = store.store("values");
  await values.set("a", "value1");
  expect(await values.get("a")).toBe("value1");
  expect(await values.get("missing")).toBeNull();
  await values.set("b", "2");
  await values.set("c", "3");
  expect(await values.delete("b")).toBe(true);
  const page = await values.list({ prefix: "a" });
  expect(page.keys).toHaveLength(1);
  expect(page.listComplete).toBe(true);
});

it("secrets from the options and later", async () => {
  const harness = new TestHarness({ secrets: { one: "1" } });
  await harness.setup(() => on("messageCreate", (ctx) => ctx.reply(`${secrets.get("one")} ${secrets.get("two")}`)));
  expect((await harness.message()).firstReply?.content).toBe("1 null");
  harness.setSecret("two", "2");
  expect((await harness.message()).firstReply?.content).toBe("1 2");
});

it("a reply and an edit are recorded as such", async () => {
  const harness = new TestHarness();
  await harness.setup(() =>
    on("messageCreate", async (ctx) => {
      await ctx.reply("one");
      await ctx.edit("two");
    }),
  );
  const { replies, edits } = await harness.message();
  expect([replies.length, edits.length]).toEqual([1, 1]);
});

it("reset forgets the commands and lets others be set up", async () => {
  const harness = new TestHarness();
  await harness.setup(commands);
  harness.reset();
  expect((await harness.message({ content: "!ping" })).replies).toEqual([]);
  await harness.setup(() => createBot({ commands: [{ name: "pang", run: (ctx) => ctx.reply("peng") }] }));
  expect((await harness.message({ content: "!ping" })).replies).toEqual([]);
  expect((await harness.message({ content: "!pang" })).firstReply?.content).toBe("peng");
});

it("results are for one dispatch, allCalls for all", async () => {
  const harness = new TestHarness();
  await harness.setup(commands);
  expect((await harness.message({ content: "!ping" })).calls).toHaveLength(1);
  expect((await harness.message({ content: "!ping" })).calls).toHaveLength(1);
  expect(harness.allCalls()).toHaveLength(2);
});

it("ops are answered by values and functions", async () => {
  const harness = new TestHarness();
  harness.mockResponse("op_fetch_message", { content: "old" });
  harness.mockResponse("op_fetch_member", (args: { userId: string }) => ({ user: { username: args.userId } }));
  await harness.setup(() =>
    on("messageCreate", async (ctx) => {
      const message = await rest.fetchMessage({ channelId: "1", messageId: "2" });
      const member = await rest.fetchMember({ userId: "7" });
      await ctx.reply(`${message.content} ${member.user.username}`);
    }),
  );
  expect((await harness.message()).firstReply?.content).toBe("old 7");
});

it("the console's arguments are captured as lists", async () => {
  const harness = new TestHarness();
  await harness.setup(() => on("messageCreate", () => console.log("saw", { a: [1] }, 2)));
  expect((await harness.message()).logs).toEqual([["saw", { a: [1] }, 2]]);
});

it("reactions, ready, any event", async () => {
  const harness = new TestHarness({ guildId: "42" });
  const seen: unknown[] = [];
  await harness.setup(() => {
    on("reactionAdd", (ctx) => void seen.push(ctx.msg.emoji.name));
    on("ready", (ctx) => void seen.push(ctx.msg.user.bot));
    on("guildRoleDelete", (ctx) => void seen.push(ctx.msg.roleId, __floraGuildId));
  });
  await harness.reaction({ emoji: { name: "🌱" } });
  await harness.ready();
  await harness.dispatch("guildRoleDelete", { roleId: "5" });
  expect(seen).toEqual(["🌱", true, "5", "42"]);
});

it("payloads count their ids up and merge what is given", () => {
  expect(makeUser().id).toBe("100000000000000001");
  expect(makeUser({ username: "zoe" })).toMatchObject({ id: "100000000000000002", username: "zoe", bot: false });
  expect(makeMessage({ author: { username: "zoe" } }).member?.user?.username).toBe("zoe");
  expect(makeReady().guildIds).toEqual([]);
  const { data } = makeInteraction("x", { text: "a", whole: 1, part: 1.5, yes: true });
  expect(data.options.map((each: { type: number }) => each.type)).toEqual([3, 4, 10, 5]);
});
