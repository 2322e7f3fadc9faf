function dice(sides: number): string {
  return `You rolled ${1 + Math.floor(Math.random() * sides)} of ${sides}.`;
}

/** The custom id carries the number of sides, so that nothing has to be remembered. */
function row(sides: number) {
  return actionRow().addComponents(
    button().setCustomId(`roll:${sides}`).setLabel("Again").setStyle(ButtonStyle.Primary),
  );
}

/** `/roll sides:20` answers with a number and a button. */
export const roll = slash({
  name: "roll",
  description: "Rolls a die",
  options: [{ name: "sides", description: "How many", type: "integer", minValue: 2, maxValue: 1000 }],
  run: (ctx) => {
    const sides = ctx.options.sides ?? 6;
    return ctx.reply({ content: dice(sides), components: [row(sides)] });
  },
});

/** The button: the message that it sits on is edited. */
export const again = component({
  customId: /^roll:(\d+)$/,
  run: async (ctx) => {
    await ctx.deferUpdate();
    await ctx.edit(dice(Number(ctx.match[1])));
  },
});
