// A bot that uses a bit of everything, for the tests of the test kit.
const form = modal({
  customId: "form",
  title: "A form",
  components: [label("Words").setComponent(inputText("words").setStyle(InputTextStyle.Short))],
  run: (ctx) => ctx.reply(`said ${ctx.fields.words}`),
});

createBot({
  modals: [form],
  prefix: "!",
  commands: [
    { name: "ping", run: (ctx) => ctx.reply("pong") },
    {
      name: "slow",
      run: async (ctx) => {
        await new Promise((resolve) => setTimeout(resolve, 60_000));
        await ctx.reply(`it is ${new Date().toISOString()}`);
      },
    },
    { name: "boom", run: () => explode() },
    { name: "cool", cooldown: 10, run: (ctx) => ctx.reply("cool") },
    {
      name: "later",
      run: async (ctx) => {
        const sent = await ctx.reply("soon gone");
        setTimeout(() => void rest.deleteMessage({ channelId: ctx.msg.channelId, messageId: sent!.id }), 5_000);
      },
    },
    { name: "who", run: async (ctx) => ctx.reply((await guild.member(ctx.msg.author.id)).user!.username) },
    { name: "leaf", run: (ctx) => ctx.reply({ attachments: [{ url: "https://cdn.test/a/leaf%20one.png?size=2" }] }) },
    { name: "secret", run: (ctx) => ctx.reply(secrets.get("key") ?? "none") },
  ],
  slashCommands: [
    slash({
      name: "add",
      description: "Adds",
      options: [
        { name: "a", description: "One", type: "integer", required: true, maxValue: 100 },
        { name: "who", description: "Somebody", type: "user" },
        {
          name: "plant",
          description: "A plant",
          autocomplete: (ctx) => ["rose", "fern"].filter((name) => name.startsWith(String(ctx.focused.value))),
        },
      ],
      run: async (ctx) => {
        await ctx.defer();
        await ctx.reply(`${ctx.options.a + 1} ${ctx.options.who ?? "nobody"}`);
        await ctx.followUp("and more");
      },
    }),
    slash({ name: "form", description: "Opens a form", run: (ctx) => ctx.showModal(form) }),
    slash({
      name: "panel",
      description: "Shows a panel",
      run: (ctx) =>
        ctx.reply({
          content: "Choose",
          components: [
            actionRow().addComponents(button().setCustomId("go").setLabel("Go").setStyle(ButtonStyle.Primary)),
            stringSelect("pick").addOptions({ label: "One", value: "1" }, { label: "Two", value: "2" }),
          ],
        }),
    }),
  ],
  contextMenus: [
    { type: "user", name: "Wave", run: (ctx) => ctx.reply(`waves at ${ctx.target.user?.username}`) },
    { type: "message", name: "Quote", run: (ctx) => ctx.reply(`> ${ctx.target.content}`) },
  ],
  components: [
    component({
      customId: "go",
      run: async (ctx) => {
        await ctx.deferUpdate();
        await ctx.edit({ content: "Gone", components: [] });
      },
    }),
    component({ customId: "pick", run: (ctx) => ctx.reply({ content: `picked ${ctx.values}`, ephemeral: true }) }),
  ],
});

function explode(): never {
  throw new TypeError("boom");
}

on("guildMemberAdd", async (ctx) => {
  const general = (await guild.channels()).find((channel) => channel.name === "general");
  await rest.sendMessage({ channelId: general!.id, content: `welcome ${ctx.msg.user?.username}` });
});
on("reactionAdd", (ctx) => console.info("reaction", { emoji: ctx.msg.emoji.name }));
setInterval(() => console.debug("tick"), 1_200_000);
cron("hourly", "0 * * * *", async (ctx) => {
  const general = (await guild.channels()).find((channel) => channel.name === "general");
  await rest.sendMessage({ channelId: general!.id, content: `${ctx.name} ${ctx.scheduledAt} ${ctx.trigger}` });
});
on("task", async (ctx) => {
  await ctx.reply(`task ${JSON.stringify(ctx.data)} ${ctx.event.attempt}`);
});
on("messageCreate", async (ctx) => {
  if (ctx.msg.content === "remind") {
    await tasks.schedule({ in: "10m", channelId: ctx.msg.channelId, data: { tea: true }, key: "tea" });
  }
});
