/** `/hello name:Ann` answers `Hello, Ann!`, seen by the asker only. */
export const hello = slash({
  name: "hello",
  description: "Says hello",
  options: [{ name: "name", description: "Who to greet", type: "string" }],
  run: (ctx) => ctx.reply({ content: `Hello, ${ctx.options.name ?? "world"}!`, ephemeral: true }),
});
