import { bot, expect, test } from "flora:test";

async function ask(answers = "Tea, Coffee") {
  const { message } = await bot.slash("poll", { question: "What to drink?", answers });
  return message!;
}

/** The description of the poll's card: a bar for each answer. */
const bars = (message: RawMessage) => message.embeds[0].description.split("\n") as string[];
const press = (message: RawMessage, label: string, user: string) => {
  const buttons = message.components.flatMap((row: RawJson) => row.components) as RawJson[];
  return bot.component(buttons.find((each) => each.label === label)!.custom_id, { message, user });
};

test("votes are counted, one for each member", async () => {
  const message = await ask();
  expect(bars(message)).toEqual(["▱▱▱▱▱▱▱▱▱▱ 0 % Tea", "▱▱▱▱▱▱▱▱▱▱ 0 % Coffee"]);
  await press(message, "Tea", "ben");
  await press(message, "Coffee", "cleo");
  const after = await press(message, "Tea", "cleo");
  expect(bars(after.message!)).toEqual(["▰▰▰▰▰▰▰▰▰▰ 100 % Tea", "▱▱▱▱▱▱▱▱▱▱ 0 % Coffee"]);
  expect(after.message!.embeds[0].footer.text).toBe("2 votes");
});

test("who asked ends it, and then it is over", async () => {
  const message = await ask();
  expect((await press(message, "End", "ben")).text).toBe("Only who asked can end it.");
  const ended = await press(message, "End", "ann");
  expect(ended.message).toMatchObject({ components: [], embeds: [{ footer: { text: "0 votes, ended" } }] });
});

test("two to five answers", async () => {
  const { text, ephemeral } = await bot.slash("poll", { question: "?", answers: "Yes, Yes" });
  expect(text).toMatch("two to five different answers");
  expect(ephemeral).toBe(true);
});

test("after a month a poll is over", async () => {
  const message = await ask();
  await bot.advance(31 * 86_400_000);
  expect((await press(message, "Tea", "ben")).text).toBe("This poll is over.");
});
