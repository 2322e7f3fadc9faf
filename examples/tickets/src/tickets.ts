const tickets = kv.store("tickets");
const settings = kv.store("settings");

/** https://discord.com/developers/docs/resources/channel#overwrite-object */
const ROLE = 0;
const MEMBER = 1;
const SEES = permissionBits(["ViewChannel", "SendMessages", "ReadMessageHistory"]);

interface Ticket {
  author: string;
  subject: string;
  /** Where the panel stands, and the ticket's story goes. */
  desk: string;
}

/** `/tickets helpers:@gardeners` */
export const panel = slash({
  name: "tickets",
  description: "Posts the panel at which members open tickets",
  defaultMemberPermissions: ["ManageChannels"],
  requiredPermissions: ["ManageChannels"],
  options: [{ name: "helpers", description: "Who answers tickets", type: "role", required: true }],
  run: async (ctx) => {
    await settings.set("helpers", ctx.options.helpers);
    await ctx.reply({
      content: "Do you need help?",
      components: [button().setCustomId("ticket:open").setLabel("Open a ticket").setStyle(ButtonStyle.Success)],
    });
  },
});

export const openForm = modal({
  customId: "ticket:form",
  title: "A new ticket",
  components: [
    label("Subject").setComponent(inputText("subject").setStyle(InputTextStyle.Short).setMaxLength(80)),
    label("What is it about?").setComponent(inputText("text").setStyle(InputTextStyle.Paragraph).setMaxLength(1500)),
  ],
  run: async (ctx) => {
    const { user, channelId } = ctx.msg;
    await ctx.defer({ ephemeral: true });
    const channel = await openChannel(user);
    const ticket: Ticket = { author: user.id, subject: String(ctx.fields.subject), desk: channelId ?? "" };
    // Two forms sent at once: the second finds the first one's ticket.
    if ((await tickets.set(`of ${user.id}`, channel, { ifNotExists: true })) === null) {
      await rest.deleteChannel({ channelId: channel, reason: "a second ticket" });
      await ctx.reply(`You have a ticket already: <#${await tickets.get(`of ${user.id}`)}>`);
      return;
    }
    await tickets.set(`in ${channel}`, JSON.stringify(ticket));
    await rest.sendMessage({
      channelId: channel,
      content: `**${ticket.subject}** (<@${user.id}>)\n${ctx.fields.text}`,
      allowedMentions: { users: [user.id] },
      components: [button().setCustomId("ticket:close").setLabel("Close").setStyle(ButtonStyle.Danger)],
    });
    await ctx.reply(`Your ticket is here: <#${channel}>`);
  },
});

/** A channel that its author and the helpers see; its id. */
async function openChannel(author: EventUser): Promise<string> {
  const helpers = await settings.get("helpers");
  const everyone = { id: guild.id, type: ROLE, deny: permissionBits("ViewChannel") };
  const me = { id: (await guild.me()).userId, type: MEMBER, allow: SEES };
  const channel = await rest.createChannel({
    reason: `ticket of ${author.username}`,
    payload: {
      name: `ticket-${author.username}`,
      permission_overwrites: [
        everyone,
        me,
        { id: author.id, type: MEMBER, allow: SEES },
        ...(helpers === null ? [] : [{ id: helpers, type: ROLE, allow: SEES }]),
      ],
    },
  });
  return String(channel.id);
}

/** The panel's button. */
export const open = component({
  customId: "ticket:open",
  run: async (ctx) => {
    const existing = await tickets.get(`of ${ctx.msg.user.id}`);
    if (existing !== null) return ctx.reply({ content: `You have a ticket already: <#${existing}>`, ephemeral: true });
    return ctx.showModal({ customId: "ticket:form", title: "A new ticket", components: openForm.components });
  },
});

export const close = component({
  customId: "ticket:close",
  run: async (ctx) => {
    const channelId = ctx.msg.channelId ?? "";
    const text = await tickets.get(`in ${channelId}`);
    if (text === null) return ctx.reply({ content: "This is no ticket.", ephemeral: true });
    const ticket = JSON.parse(text) as Ticket;
    await ctx.deferUpdate();
    const story = (await rest.fetchMessages({ channelId, limit: 100 }))
      .reverse()
      .map((each) => `${each.timestamp.slice(0, 16)} ${each.author.username}: ${each.content}`);
    await rest.sendMessage({
      channelId: ticket.desk,
      content: `The ticket "${ticket.subject}" was closed by ${ctx.msg.user.username}.`,
      attachments: [{ filename: "ticket.txt", text: story.join("\n") }],
    });
    await tickets.transaction([
      { type: "delete", key: `of ${ticket.author}` },
      { type: "delete", key: `in ${channelId}` },
    ]);
    return rest.deleteChannel({ channelId, reason: `closed by ${ctx.msg.user.username}` });
  },
});
