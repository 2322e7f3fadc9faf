const warnings = kv.store("warnings");

/** `/warn user reason` counts the warnings of a member. */
export const warn = slash({
  name: "warn",
  description: "Warns a member",
  defaultMemberPermissions: ["ModerateMembers"],
  options: [
    { name: "user", description: "Who", type: "user", required: true },
    { name: "reason", description: "Why", maxLength: 200 },
  ],
  run: async (ctx) => {
    const { user, reason } = ctx.options;
    const count = await warnings.increment(user);
    await ctx.reply(`<@${user}> has been warned${reason ? `: ${reason}` : ""} (${count} so far).`);
  },
});
