const settings = kv.store("settings");

interface Single {
  text: string;
  author: string;
}

/** Into the channel that `/announcements here` chose; nowhere before that. */
export async function publish(content: string): Promise<void> {
  const channelId = await settings.get("channel");
  if (channelId === null) {
    console.warn(`nobody has chosen a channel with /announcements here; not announced: ${content}`);
    return;
  }
  await rest.sendMessage({ channelId, content, allowedMentions: { parse: ["roles"] } });
}

/** `/announcements here`, `/announcements list`, `/announcements cancel` */
export const announcements = slash({
  name: "announcements",
  description: "Announcements of this server",
  defaultMemberPermissions: ["ManageGuild"],
  subcommands: [
    {
      name: "here",
      description: "They go to this channel",
      run: async (ctx) => {
        await settings.set("channel", ctx.msg.channelId ?? "");
        await ctx.reply({ content: "Announcements go here now.", ephemeral: true });
      },
    },
    {
      name: "list",
      description: "Shows those that wait",
      run: async (ctx) => {
        const waiting = await tasks.list({ prefix: "announce:" });
        const lines = waiting.map(({ key, at, data }) => `\`${key.slice(9)}\` ${at} ${(data as unknown as Single).text}`);
        await ctx.reply({ content: lines.join("\n") || "None waits.", ephemeral: true });
      },
    },
    {
      name: "cancel",
      description: "Takes one back",
      options: [{ name: "id", description: "As the list shows it", required: true }],
      run: async (ctx) => {
        const was = await tasks.cancel(`announce:${ctx.options.id}`);
        await ctx.reply({ content: was ? "Cancelled." : "There is no such announcement.", ephemeral: true });
      },
    },
  ],
});

/** `/announce in:2h text:…` */
export const announce = slash({
  name: "announce",
  description: "Announces something later",
  defaultMemberPermissions: ["ManageGuild"],
  options: [
    { name: "in", description: "Such as 10m, 2h, 1d", required: true, maxLength: 20 },
    { name: "text", description: "What", required: true, maxLength: 1800 },
  ],
  run: async (ctx) => {
    const id = ctx.msg.interactionId.slice(-6);
    const data = { text: ctx.options.text, author: ctx.msg.user.id };
    try {
      const task = await tasks.schedule({ key: `announce:${id}`, in: ctx.options.in, data });
      await ctx.reply({ content: `It will be announced at ${task.at} (\`${id}\`).`, ephemeral: true });
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error;
      await ctx.reply({ content: "Say when as `10m`, `2h` or `1d`.", ephemeral: true });
    }
  },
});

/** The single ones when their time has come. */
export function sendTasks(): void {
  on("task", async (ctx) => {
    const { text, author } = ctx.data as unknown as Single;
    await publish(`${text}\n— <@${author}>`);
  });
}
