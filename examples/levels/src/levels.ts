const points = kv.store("points");
const pauses = kv.store("pauses");

const PER_MESSAGE = 15;
const PAUSE_SECONDS = 60;

/** Level n takes 50 n (n + 1) points: 100, 300, 600, 1000… */
export function levelOf(sum: number): number {
  return Math.floor((Math.sqrt(1 + sum / 12.5) - 1) / 2);
}

export function pointsFor(level: number): number {
  return 50 * level * (level + 1);
}

/** Points for a message, once a minute; says so when they make a new level. */
export async function earn(ctx: MessageContext): Promise<void> {
  const { author, webhookId } = ctx.msg;
  if (author.bot || webhookId !== undefined) return;
  // Of two messages at once one makes the key, so that only one counts.
  if ((await pauses.set(author.id, "", { ifNotExists: true, ttl: PAUSE_SECONDS })) === null) return;
  const sum = await points.increment(author.id, PER_MESSAGE);
  const level = levelOf(sum);
  if (level > levelOf(sum - PER_MESSAGE)) await ctx.followUp(`<@${author.id}> has reached level ${level}!`);
}

async function sumOf(userId: string): Promise<number> {
  return Number((await points.get(userId)) ?? 0);
}

/** Everybody's points, most first. */
async function standings(): Promise<{ userId: string; sum: number }[]> {
  const all: { userId: string; sum: number }[] = [];
  let cursor: string | undefined;
  do {
    const page = await points.list({ limit: 1000, ...(cursor ? { cursor } : {}) });
    for (const { name } of page.keys) all.push({ userId: name, sum: await sumOf(name) });
    cursor = page.cursor;
  } while (cursor !== undefined);
  return all.sort((a, b) => b.sum - a.sum);
}

/** `/rank`, `/rank user:@ben` */
export const rank = slash({
  name: "rank",
  description: "Where somebody stands",
  options: [{ name: "user", description: "Who; you by default", type: "user" }],
  run: async (ctx) => {
    const userId = ctx.options.user ?? ctx.msg.user.id;
    const sum = await sumOf(userId);
    const level = levelOf(sum);
    const place = (await standings()).findIndex((each) => each.userId === userId) + 1;
    const missing = pointsFor(level + 1) - sum;
    await ctx.reply({
      content: `<@${userId}> is at level ${level} with ${sum} points${place > 0 ? `, number ${place} here` : ""}; ${missing} more to level ${level + 1}.`,
      allowedMentions: { parse: [] },
    });
  },
});

export const leaderboard = slash({
  name: "leaderboard",
  description: "Who has the most points",
  cooldown: 5,
  run: async (ctx) => {
    const lines = (await standings())
      .slice(0, 10)
      .map(({ userId, sum }, index) => `${index + 1}. <@${userId}> level ${levelOf(sum)}, ${sum} points`);
    const card = embed().setTitle("Leaderboard").setDescription(lines.join("\n") || "Nobody has written anything yet.");
    await ctx.reply({ embeds: [card] });
  },
});
