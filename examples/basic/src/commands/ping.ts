/** `!ping a b` answers `pong (a b)`. */
export const ping = prefix({
  name: "ping",
  description: "Answers pong",
  run: (ctx) => ctx.reply(ctx.args.length > 0 ? `pong (${ctx.args.join(" ")})` : "pong"),
});
