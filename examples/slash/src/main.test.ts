import { bot, expect, test } from "flora:test";

test("/roll, and again", async () => {
  const roll = await bot.slash("roll", { sides: 20 });
  expect(roll.text).toMatch(/^You rolled \d+ of 20\.$/);
  const again = await bot.component("roll:20", { user: "ben" });
  expect(again.message!.id).toBe(roll.message!.id);
  await expect(bot.slash("roll", { sides: 1 })).rejects.toThrow("at least 2");
});

test("/plant suggests what matches", async () => {
  const { choices } = await bot.autocomplete("plant", "kind", "ro");
  expect(choices.map((choice) => choice.value)).toEqual(["rose"]);
  const { message } = await bot.slash("plant", { kind: "tulip", where: "pot" });
  expect(message!.embeds[0].title).toBe("A tulip in the pot");
});

test("/feedback opens a form", async () => {
  expect((await bot.slash("feedback")).modal?.title).toBe("What do you think?");
  const { text, lines } = await bot.modal("feedback", { words: "More ferns!" });
  expect(text).toBe("Thank you!");
  expect(lines[0]!.text).toBe("feedback of ann: More ferns!");
});
