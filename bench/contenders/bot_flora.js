// The bot of the end-to-end benchmark as a guild script; the other bot_* files do the same.

const fibonacci = (n) => (n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2));
const counts = kv.store("counts");

createBot({
  prefix: "!",
  prefixCommands: [
    { name: "echo", run: (ctx) => ctx.reply(ctx.args.join(" ")) },
    { name: "count", run: async (ctx) => ctx.reply(`${ctx.args[0]} ${await counts.increment("all")}`) },
    { name: "cpu", run: (ctx) => ctx.reply(`${ctx.args[0]} ${fibonacci(18)}`) },
    {
      name: "busy",
      run: (ctx) => {
        for (const end = Date.now() + 200; Date.now() < end;);
        return ctx.reply(ctx.args[0]);
      },
    },
  ],
  slashCommands: [
    {
      name: "hello",
      description: "Says hello",
      options: [{ name: "name", description: "To whom", type: "string" }],
      run: (ctx) => ctx.reply(`hello ${ctx.options.name}`),
    },
  ],
});
