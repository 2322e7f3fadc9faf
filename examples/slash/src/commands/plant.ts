const PLANTS = ["tulip", "rose", "fern", "moss", "thyme", "tomato", "sage", "sunflower"];

/** `/plant kind:ro` suggests the plants that match while one types. */
export const plant = slash({
  name: "plant",
  description: "Plants something",
  options: [
    {
      name: "kind",
      description: "What to plant",
      required: true,
      autocomplete: (ctx) => PLANTS.filter((name) => name.includes(String(ctx.focused.value))),
    },
    { name: "where", description: "The place", choices: ["bed", "pot", "greenhouse"] },
  ],
  run: (ctx) => {
    const card = embed()
      .setTitle(`A ${ctx.options.kind} in the ${ctx.options.where ?? "bed"}`)
      .setColor(0x57a773)
      .setDescription("Water it now and then.");
    return ctx.reply({ embeds: [card] });
  },
});
