const ties = kv.store("roles");

/** Of a standard emoji the character, of a custom one the id. */
function emojiKey(emoji: EventEmoji | string): string {
  if (typeof emoji !== "string") return emoji.id ?? emoji.name ?? "";
  return /^<a?:\w+:(\d+)>$/.exec(emoji)?.[1] ?? emoji;
}

const tie = (messageId: unknown, emoji: EventEmoji | string) => `${messageId} ${emojiKey(emoji)}`;

const MESSAGE = { name: "message", description: "The message's id", required: true } as const;
const EMOJI = { name: "emoji", description: "The reaction", required: true } as const;

export const roles = slash({
  name: "roles",
  description: "Roles for reactions",
  defaultMemberPermissions: ["ManageRoles"],
  requiredPermissions: ["ManageRoles"],
  subcommands: [
    {
      name: "add",
      description: "Ties a role to a reaction",
      options: [MESSAGE, EMOJI, { name: "role", description: "The role", type: "role", required: true }],
      run: async (ctx) => {
        const { message: messageId, emoji, role } = ctx.options as { message: string; emoji: string; role: string };
        try {
          await rest.addReaction({ channelId: ctx.msg.channelId ?? "", messageId, emoji });
        } catch (error) {
          if (!(error instanceof DiscordHttpError)) throw error;
          return ctx.reply({ content: "There is no such message or emoji in this channel.", ephemeral: true });
        }
        await ties.set(tie(messageId, emoji), role);
        return ctx.reply({ content: `${emoji} gives <@&${role}>.`, ephemeral: true });
      },
    },
    {
      name: "remove",
      description: "Unties a reaction",
      options: [MESSAGE, EMOJI],
      run: async (ctx) => {
        const was = await ties.delete(tie(ctx.options.message, String(ctx.options.emoji)));
        return ctx.reply({ content: was ? "Untied." : "Nothing was tied to it.", ephemeral: true });
      },
    },
    {
      name: "list",
      description: "Shows what is tied",
      run: async (ctx) => {
        const { keys } = await ties.list();
        const lines = await Promise.all(
          keys.map(async ({ name }) => `\`${name.split(" ")[0]}\` ${name.split(" ")[1]} <@&${await ties.get(name)}>`),
        );
        return ctx.reply({ content: lines.join("\n") || "Nothing is tied.", ephemeral: true });
      },
    },
  ],
});

/** Gives and takes roles as members react. */
export function handOut(): void {
  on("reactionAdd", async (ctx) => {
    const { userId, messageId, emoji, member } = ctx.msg;
    if (userId === null || member?.user?.bot) return;
    const roleId = await ties.get(tie(messageId, emoji));
    if (roleId !== null) await rest.addMemberRole({ userId, roleId, reason: "reaction role" });
  });

  on("reactionRemove", async (ctx) => {
    const { userId, messageId, emoji } = ctx.msg;
    const roleId = userId === null ? null : await ties.get(tie(messageId, emoji));
    if (userId !== null && roleId !== null) await rest.removeMemberRole({ userId, roleId, reason: "reaction role" });
  });

  // What was tied to a message that is gone is of no more use.
  on("messageDelete", async (ctx) => {
    const { keys } = await ties.list({ prefix: `${ctx.msg.id} ` });
    for (const { name } of keys) await ties.delete(name);
  });
}
