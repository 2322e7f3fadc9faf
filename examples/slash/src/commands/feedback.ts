/** `/feedback` opens a form. */
export const feedback = slash({
  name: "feedback",
  description: "Tell us what you think",
  run: (ctx) => ctx.showModal(feedbackForm),
});

export const feedbackForm = modal({
  customId: "feedback",
  title: "What do you think?",
  components: [label("Your words").setComponent(inputText("words").setStyle(InputTextStyle.Paragraph))],
  run: (ctx) => {
    console.info(`feedback of ${ctx.msg.user?.username ?? "somebody"}: ${ctx.fields.words}`);
    return ctx.reply({ content: "Thank you!", ephemeral: true });
  },
});
