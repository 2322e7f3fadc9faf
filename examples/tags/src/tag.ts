const tags = kv.store("tags");

interface Owned {
  owner: string;
}

/** Lower case, so that nobody has to remember how a tag was written. */
function key(name: unknown): string {
  return String(name).trim().toLowerCase();
}

const NAME = { name: "name", description: "The tag's name", required: true, maxLength: 40 } as const;
const TEXT = { name: "text", description: "What it says", required: true, maxLength: 1500 } as const;

/** The names that begin with what has been typed. */
const KNOWN_NAME = {
  ...NAME,
  autocomplete: async (ctx: AutocompleteContext) => {
    const page = await tags.list({ prefix: key(ctx.focused.value), limit: 25 });
    return page.keys.map((each) => each.name);
  },
};

const quietly = (ctx: InteractionContext, content: string) => ctx.reply({ content, ephemeral: true });

/** Whether the member may change a tag: its owner, and whoever may manage messages. */
async function mayChange(ctx: InteractionContext, name: string): Promise<boolean> {
  const { value, metadata } = await tags.getWithMetadata<Owned>(name);
  if (value === null) {
    await quietly(ctx, `There is no tag \`${name}\`.`);
    return false;
  }
  if (metadata?.owner === ctx.msg.user.id || hasPermission(ctx, "ManageMessages")) return true;
  await quietly(ctx, `The tag \`${name}\` is somebody else's.`);
  return false;
}

/** `/tag view`, `/tag create`, `/tag edit`, `/tag delete`, `/tag list`. */
export const tag = slash({
  name: "tag",
  description: "Texts by name",
  subcommands: [
    {
      name: "view",
      description: "Shows a tag",
      options: [KNOWN_NAME],
      run: async (ctx) => {
        const name = key(ctx.options.name);
        const text = await tags.get(name);
        if (text === null) return quietly(ctx, `There is no tag \`${name}\`.`);
        // What members wrote must not ring for everyone.
        return ctx.reply({ content: text, allowedMentions: { parse: [] } });
      },
    },
    {
      name: "create",
      description: "Makes a tag",
      options: [NAME, TEXT],
      run: async (ctx) => {
        const name = key(ctx.options.name);
        const metadata = { owner: ctx.msg.user.id };
        const made = await tags.set(name, String(ctx.options.text), { metadata, ifNotExists: true });
        return quietly(ctx, made === null ? `There is a tag \`${name}\` already.` : `Made the tag \`${name}\`.`);
      },
    },
    {
      name: "edit",
      description: "Changes a tag",
      options: [KNOWN_NAME, TEXT],
      run: async (ctx) => {
        const name = key(ctx.options.name);
        if (!(await mayChange(ctx, name))) return;
        const { metadata } = await tags.getWithMetadata<Owned>(name);
        await tags.set(name, String(ctx.options.text), { metadata: { owner: metadata?.owner ?? ctx.msg.user.id } });
        await quietly(ctx, `Changed the tag \`${name}\`.`);
      },
    },
    {
      name: "delete",
      description: "Deletes a tag",
      options: [KNOWN_NAME],
      run: async (ctx) => {
        const name = key(ctx.options.name);
        if (!(await mayChange(ctx, name))) return;
        await tags.delete(name);
        await quietly(ctx, `Deleted the tag \`${name}\`.`);
      },
    },
    {
      name: "list",
      description: "Shows the names",
      run: async (ctx) => {
        const { keys } = await tags.list({ limit: 100 });
        return quietly(ctx, keys.length === 0 ? "There are no tags yet." : keys.map((each) => each.name).join(", "));
      },
    },
  ],
});
