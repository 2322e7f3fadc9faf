/** Words that do not stay; whole words, in any case. */
const WORDS = ["darn", "heck"];
const PATTERN = new RegExp(`\\b(?:${WORDS.join("|")})\\b`, "i");

/** Deletes messages with such a word and says so. */
export function watchWords(): void {
  on("messageCreate", async (ctx) => {
    const { author, content, id } = ctx.msg;
    if (author.bot || !PATTERN.test(content)) return;
    await ctx.delete();
    await ctx.followUp(`<@${author.id}>, mind your words, please.`);
    console.info(`deleted message ${id} of ${author.username}`);
  });
}
