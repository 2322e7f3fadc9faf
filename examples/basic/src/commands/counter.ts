const counters = kv.store("counters");

/** `/counter get`, `/counter increment`, `/counter reset`. The count outlives deployments and restarts. */
export const counter = slash({
  name: "counter",
  description: "Counts",
  subcommands: [
    {
      name: "get",
      description: "Shows the count",
      run: async (ctx) => ctx.reply(`Current count: ${(await counters.get("main")) ?? "0"}`),
    },
    {
      name: "increment",
      description: "Adds one",
      run: async (ctx) => ctx.reply(`Count is now: ${await counters.increment("main")}`),
    },
    {
      name: "reset",
      description: "Starts over",
      run: async (ctx) => {
        await counters.set("main", "0");
        await ctx.reply("Counter reset to 0");
      },
    },
  ],
});
