import { tag } from "./tag";

createBot({
  slashCommands: [tag],
  onError: async (error, ctx) => {
    console.error(error);
    await ctx.reply({ content: `That did not work (${ctx.event.id}).`, ephemeral: true });
  },
});
