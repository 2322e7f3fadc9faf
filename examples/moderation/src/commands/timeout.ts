/** `/timeout user minutes` keeps a member from writing for a while. */
export const timeout = slash({
  name: "timeout",
  description: "Gives a member a break",
  defaultMemberPermissions: ["ModerateMembers"],
  requiredPermissions: ["ModerateMembers"],
  options: [
    { name: "user", description: "Who", type: "user", required: true },
    { name: "minutes", description: "How long", type: "integer", minValue: 1, maxValue: 40_320 },
    { name: "reason", description: "For the audit log", maxLength: 400 },
  ],
  run: async (ctx) => {
    const { user, minutes = 10, reason } = ctx.options;
    const until = new Date(Date.now() + minutes * 60_000);
    await rest.editMember({
      userId: user,
      payload: { communication_disabled_until: until.toISOString() },
      ...(reason ? { reason } : {}),
    });
    await ctx.reply({ content: `<@${user}> has a break of ${minutes} minutes.`, ephemeral: true });
  },
});
