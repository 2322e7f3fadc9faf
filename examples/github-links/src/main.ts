import { cardOf } from "./github";
import { mentioned } from "./links";

/** Discord takes no more embeds in one message. */
const MOST = 10;

on("messageCreate", async (ctx) => {
  if (ctx.msg.author.bot) return;
  const found = mentioned(ctx.msg.content);
  if (found.length === 0) return;
  const cards = (await Promise.all(found.slice(0, MOST).map(cardOf))).filter((card) => card !== null);
  if (cards.length === 0) return;
  await ctx.reply({
    ...(found.length > MOST ? { content: `Showing ${MOST} of ${found.length} GitHub links.` } : {}),
    embeds: cards,
    allowedMentions: { parse: [], repliedUser: false },
  });
  try {
    // Discord's own previews would say the same again.
    await ctx.edit({ flags: MessageFlags.SUPPRESS_EMBEDS });
  } catch (error) {
    if (!(error instanceof DiscordHttpError)) throw error;
    console.debug("the previews stay:", error.message);
  }
});
