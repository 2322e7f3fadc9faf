import { beforeEach, bot, expect, test } from "flora:test";

let panel: RawMessage;

beforeEach(async () => {
  panel = (await bot.slash("tickets", { helpers: "moderators" }, { user: "owner" })).message!;
});

/** Ann opens a ticket; what she is told. */
async function open(user = "ann") {
  await bot.component("ticket:open", { message: panel, user });
  return bot.modal("ticket:form", { subject: "My fern", text: "It is sad." }, { user });
}

test("a form opens a channel for its author and the helpers", async () => {
  const { text, ephemeral, calls } = await open();
  expect(ephemeral).toBe(true);
  const [, channelId = ""] = /<#(\d+)>/.exec(text ?? "") ?? [];
  const created = calls.find((call) => call.method === "createChannel");
  expect(created?.args.payload.permission_overwrites).toContain({ id: bot.users.ann, type: 1, allow: "68608" });
  expect(await guild.can("ViewChannel", { channelId, userId: bot.users.ann! })).toBe(true);
  expect(await guild.can("ViewChannel", { channelId, userId: bot.users.mod! })).toBe(true);
  expect(await guild.can("ViewChannel", { channelId, userId: bot.users.ben! })).toBe(false);
  expect((await bot.messages("ticket-ann"))[0]!.content).toMatch(/^\*\*My fern\*\* .*\nIt is sad\.$/);
});

test("one ticket for each member", async () => {
  await open();
  const again = await bot.component("ticket:open", { message: panel });
  expect(again.text).toMatch("You have a ticket already");
  expect(again.modal).toBeUndefined();
});

test("a ticket that is closed leaves its story", async () => {
  await open();
  await bot.message("Thank you!", { channel: "ticket-ann" });
  const { messages } = await bot.component("ticket:close", { user: "mod", channel: "ticket-ann" });
  expect(messages[0]!.content).toBe('The ticket "My fern" was closed by mod.');
  expect(messages[0]!.attachments[0].filename).toBe("ticket.txt");
  expect((await guild.channels()).map((each) => each.name)).not.toContain("ticket-ann");
  expect((await open()).text).toMatch("Your ticket is here");
});

test("only who manages channels posts the panel", async () => {
  const asBen = bot.slash("tickets", { helpers: "moderators" }, { user: "ben" });
  await expect(asBen).rejects.toThrow("ben may not use tickets");
});
