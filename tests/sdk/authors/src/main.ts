/*
 * What the types promise to authors. Compiled, never run: a line under @ts-expect-error must not compile.
 */

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const is = <T extends true>(): T | undefined => undefined;

// Options have the types of their definitions.
export const everyType = slash({
  name: "every",
  description: "d",
  options: [
    { name: "text", description: "d", required: true },
    { name: "count", description: "d", type: "integer", required: true },
    { name: "share", description: "d", type: "number" },
    { name: "loud", description: "d", type: "boolean" },
    { name: "who", description: "d", type: "user" },
    { name: "colour", description: "d", choices: ["red", { name: "Blue", value: "blue" }] },
  ],
  run: async (ctx) => {
    is<Same<typeof ctx.options.text, string>>();
    is<Same<typeof ctx.options.count, number>>();
    is<Same<typeof ctx.options.share, number | undefined>>();
    is<Same<typeof ctx.options.loud, boolean | undefined>>();
    is<Same<typeof ctx.options.who, string | undefined>>();
    is<Same<typeof ctx.options.colour, "red" | "blue" | undefined>>();
    // @ts-expect-error there is no such option
    ctx.options.other;
    // The first flora's way of writing it.
    const text = (ctx.options.text as string) || "world";
    await ctx.reply({ content: text, ephemeral: true });
  },
});

export const tags = slash({
  name: "tag",
  description: "d",
  defaultMemberPermissions: ["ManageMessages"],
  cooldown: { seconds: 5, uses: 2, per: "channel" },
  groups: [{ name: "admin", description: "d", subcommands: [{ name: "wipe", description: "d", run: (ctx) => ctx.delete() }] }],
  subcommands: [
    {
      name: "view",
      description: "d",
      options: [
        { name: "name", description: "d", autocomplete: (ctx) => ["a", "b"].filter((tag) => tag !== ctx.focused.value) },
      ],
      run: (ctx) => ctx.reply(String(ctx.options.name)),
    },
  ],
});

const feedback = modal({
  customId: "feedback",
  title: "Feedback",
  components: [label("Your words").setComponent(inputText("words").setStyle(InputTextStyle.Paragraph))],
  run: (ctx) => ctx.reply(`Thanks for: ${ctx.fields.words}`),
});

createBot({
  prefix: "!",
  guards: [(ctx) => ctx.msg.channelId !== "1" || "Not here."],
  prefixCommands: [
    prefix({ name: "ping", aliases: ["p"], requiredRoles: ["1"], run: (ctx) => ctx.reply(ctx.args.join(" ")) }),
    // @ts-expect-error messages carry no permissions
    { name: "ban", requiredPermissions: ["BanMembers"], run() {} },
  ],
  slashCommands: [
    everyType,
    tags,
    { name: "feedback", description: "d", requiredPermissions: "ManageGuild", run: (ctx) => ctx.showModal(feedback) },
    // @ts-expect-error there is no such type
    { name: "x", description: "d", options: [{ name: "o", description: "d", type: "usr" }] },
  ],
  contextMenus: [
    { type: "user", name: "Greet", run: (ctx) => ctx.reply(`Hello, ${ctx.target.user?.username}`) },
    { type: "message", name: "Quote", run: (ctx) => ctx.reply(ctx.target.content) },
  ],
  components: [
    component({ customId: /^vote:(\d+)$/, run: (ctx) => ctx.edit(`${ctx.match[1]} ${ctx.values.join()}`) }),
    { customId: "close", requiredPermissions: ["ManageThreads"], run: (ctx) => ctx.deferUpdate() },
  ],
  modals: [feedback],
  onError: (error, ctx) => ctx.reply(`Something went wrong (${ctx.event.id}): ${error}`),
});

on("messageCreate", async (ctx) => {
  is<Same<typeof ctx.msg, EventMessage>>();
  if (!ctx.msg.member?.roles?.some((role: string) => role === "1")) return;
  const components: ComponentJson[] = [];
  const card = container().setAccentColor(0x2f81f7);
  card.addComponents(section().addComponents(textDisplay("a")).setAccessory(thumbnail("https://example.org/a.png")));
  card.addComponents(actionRow().addComponents(button().setLabel("Look").setUrl("https://example.org")));
  components.push(card.toJSON());
  await ctx.reply({ components, flags: MessageFlags.IS_COMPONENTS_V2 | MessageFlags.SUPPRESS_EMBEDS });
  await ctx.edit({ flags: MessageFlags.SUPPRESS_EMBEDS });
  // @ts-expect-error a message cannot be deferred
  await ctx.defer();
  // @ts-expect-error no such field
  await ctx.reply({ contents: "x" });
  // @ts-expect-error no such constant
  MessageFlags.SECRET;
});

// @ts-expect-error no such event: it would never run
on("messageCreated", () => {});

// @ts-expect-error globals are not for writing
on = () => {};

interface Birthday {
  userId: string;
}
declare global {
  interface FloraEventMap {
    guildBirthday: BaseContext<Birthday>;
  }
}
once("guildBirthday", (ctx) => ctx.reply(ctx.msg.userId));

on("guildMemberAdd", (ctx) => console.info(ctx.msg.user?.globalName, ctx.raw.user.global_name));

on("interactionCreate", async (ctx) => {
  if (!hasPermission(ctx, "ManageMessages", ["KickMembers"]) || !hasRole(ctx, "1")) return;
  await ctx.defer({ ephemeral: true });
  try {
    await rest.banMember({ userId: ctx.msg.user.id, reason: getSubcommand(ctx) ?? "" });
    // @ts-expect-error whom?
    await rest.banMember({});
  } catch (error) {
    if (!(error instanceof DiscordHttpError)) throw error;
    await ctx.reply({ embeds: [embed().setTitle(`${error.status} ${error.discordCode}`), { color: 1 }] });
  }
});

on("messageCreate", async ({ msg: { channelId, id: messageId, author } }) => {
  const poll = { question: "Which?", answers: ["Fern", { text: "Rose", emoji: "🌹" }] };
  const { id } = await rest.sendMessage({ channelId, poll, replyTo: messageId });
  await rest.editMessage({ channelId, messageId: id, content: null, attachments: [{ id: "1" }] });
  await rest.editChannelPermissions({ channelId, overwriteId: "1", type: "role", deny: ["SendMessages"] });
  // @ts-expect-error of a role or a member
  await rest.editChannelPermissions({ channelId, overwriteId: "1", type: "channel" });
  // @ts-expect-error no such permission by this name in a list of bits
  await rest.editChannelPermissions({ channelId, overwriteId: "1", type: "role", deny: [5] });
  const { items, has_more } = await rest.fetchPins({ channelId });
  console.log(items.length, has_more, (await rest.fetchRoles()).length);
  // @ts-expect-error a forum post has a name
  await rest.createForumPost({ channelId, content: "x" });
  const here: GuildChannel | null = await guild.channel(channelId);
  const held: string = await guild.permissions({ channelId, userId: author.id });
  if (await guild.can(["SendMessages", "EmbedLinks"], { channelId })) console.log(guild.id, here?.parentId, held);
  // @ts-expect-error the id is Discord's to give
  guild.id = "1";
});

off("interactionCreate");
setTimeout((name: string) => console.log(name), 10, "a");
registerSlashCommands(flattenCommands([everyType, tags]));
flora.createBot({ commands: [] });

// Neither a browser nor Node.
// @ts-expect-error
document;
// @ts-expect-error
process;
