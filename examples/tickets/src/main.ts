import { close, open, openForm, panel } from "./tickets";

createBot({
  slashCommands: [panel],
  components: [open, close],
  modals: [openForm],
  onError: async (error, ctx) => {
    console.error(error);
    await ctx.followUp({ content: "That did not work; the moderators can see why in the log.", ephemeral: true });
  },
});
