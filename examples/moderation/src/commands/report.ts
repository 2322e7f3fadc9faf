/** In the menu of a message: tells the moderators' log. */
export const report: MessageCommand = {
  type: "message",
  name: "Report",
  run: (ctx) => {
    const { target, msg } = ctx;
    console.warn(`${msg.user?.username ?? "somebody"} reports message ${target.id} in ${target.channelId}`);
    return ctx.reply({ content: "Thank you, the moderators will look at it.", ephemeral: true });
  },
};
