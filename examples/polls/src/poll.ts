const polls = kv.store("polls");
const votes = kv.store("votes");
const A_MONTH = 30 * 86_400;

interface Poll {
  question: string;
  answers: string[];
  author: string;
}

/** What a poll looks like with its votes as they are now. */
async function view(id: string, { question, answers }: Poll, ended = false) {
  const counts = answers.map(() => 0);
  let cursor: string | undefined;
  do {
    const page = await votes.list<number>({ prefix: `${id} `, limit: 1000, ...(cursor ? { cursor } : {}) });
    for (const key of page.keys) if (key.metadata !== undefined) counts[key.metadata] = (counts[key.metadata] ?? 0) + 1;
    cursor = page.cursor;
  } while (cursor !== undefined);
  const sum = counts.reduce((a, b) => a + b, 0);
  const card = embed()
    .setTitle(question)
    .setColor(ended ? 0x888888 : 0x5865f2)
    .setDescription(answers.map((answer, index) => bar(answer, counts[index] ?? 0, sum)).join("\n"))
    .setFooter(`${sum} ${sum === 1 ? "vote" : "votes"}${ended ? ", ended" : ""}`);
  return { embeds: [card], components: ended ? [] : rows(id, answers) };
}

function bar(answer: string, count: number, sum: number): string {
  const share = sum === 0 ? 0 : count / sum;
  return `${"▰".repeat(Math.round(share * 10)).padEnd(10, "▱")} ${Math.round(share * 100)} % ${answer}`;
}

function rows(id: string, answers: readonly string[]) {
  const buttons = answers.map((answer, index) =>
    button().setCustomId(`vote:${id}:${index}`).setLabel(answer).setStyle(ButtonStyle.Primary),
  );
  const end = button().setCustomId(`end:${id}`).setLabel("End").setStyle(ButtonStyle.Secondary);
  return [actionRow().addComponents(buttons), actionRow().addComponents(end)];
}

async function find(id: string): Promise<Poll | null> {
  const text = await polls.get(id);
  return text === null ? null : (JSON.parse(text) as Poll);
}

/** `/poll question answers` */
export const poll = slash({
  name: "poll",
  description: "Asks everybody",
  options: [
    { name: "question", description: "What to ask", required: true, maxLength: 200 },
    { name: "answers", description: "Two to five, with commas between them", required: true, maxLength: 400 },
  ],
  run: async (ctx) => {
    const answers = [...new Set(ctx.options.answers.split(",").map((each) => each.trim().slice(0, 80)))].filter(Boolean);
    if (answers.length < 2 || answers.length > 5) {
      return ctx.reply({ content: "Give two to five different answers, with commas between them.", ephemeral: true });
    }
    const id = ctx.msg.interactionId;
    const made: Poll = { question: ctx.options.question, answers, author: ctx.msg.user.id };
    await polls.set(id, JSON.stringify(made), { ttl: A_MONTH });
    return ctx.reply(await view(id, made));
  },
});

/** A button: the vote counts, in place of the voter's last one. */
export const vote = component({
  customId: /^vote:(\d+):(\d)$/,
  run: async (ctx) => {
    const [, id = "", answer = ""] = ctx.match;
    const found = await find(id);
    if (found === null) return ctx.reply({ content: "This poll is over.", ephemeral: true });
    await votes.set(`${id} ${ctx.msg.user.id}`, answer, { metadata: Number(answer), ttl: A_MONTH });
    return ctx.edit(await view(id, found));
  },
});

export const endPoll = component({
  customId: /^end:(\d+)$/,
  run: async (ctx) => {
    const [, id = ""] = ctx.match;
    const found = await find(id);
    if (found === null) return ctx.reply({ content: "This poll is over.", ephemeral: true });
    if (found.author !== ctx.msg.user.id && !hasPermission(ctx, "ManageMessages")) {
      return ctx.reply({ content: "Only who asked can end it.", ephemeral: true });
    }
    await polls.delete(id);
    return ctx.edit(await view(id, found, true));
  },
});
