on("messageCreate", async (ctx) => {
  if (ctx.msg.content === "hello") await ctx.reply(`Hello, ${ctx.msg.author.username}!`);
});
