// A discord.js program, unmodified but for its address: `node foreign_discord_js.mjs REST_URL TOKEN`.
// Its gateway's address is what GET /gateway/bot says.

import { createRequire } from "node:module";
import { join } from "node:path";

// The library lies where the test has installed it, not beside this file.
const { ActionRowBuilder, ButtonBuilder, ButtonStyle, Client, Events, GatewayIntentBits, MessageFlags } =
    createRequire(join(process.cwd(), "package.json"))("discord.js");

const [restUrl, token] = process.argv.slice(2);
const tell = (event, facts = {}) => console.log(JSON.stringify({ event, ...facts }));

const client = new Client({
    intents: Object.values(GatewayIntentBits).filter((bit) => typeof bit === "number"),
    rest: { api: restUrl.replace(/\/v10$/, "") },
});

client.once(Events.ClientReady, async () => {
    await client.application.commands.set([
        {
            name: "hello",
            description: "Say hello",
            options: [{ type: 3, name: "name", description: "To whom" }],
        },
        { name: "menu", description: "Show a button" },
    ]);
    tell("ready", { user: client.user.username, guilds: client.guilds.cache.map((guild) => guild.name) });
});
client.on(Events.ClientReady, () => tell("identified"));
client.on(Events.ShardResume, () => tell("resumed"));
client.on(Events.Error, (error) => tell("error", { message: String(error) }));

client.on(Events.MessageCreate, async (message) => {
    if (message.author.bot) return;
    tell("message", { content: message.content, author: message.author.username });
    if (message.content.startsWith("!ping")) {
        await message.reply(`pong (${message.content.slice(5).trim()})`);
        await message.react("👍");
    }
});

client.on(Events.InteractionCreate, async (interaction) => {
    if (interaction.isChatInputCommand() && interaction.commandName === "hello") {
        const name = interaction.options.getString("name") ?? "stranger";
        await interaction.reply({ content: `hello ${name}`, flags: MessageFlags.Ephemeral });
    } else if (interaction.isChatInputCommand()) {
        const button = new ButtonBuilder().setCustomId("press").setLabel("Press").setStyle(ButtonStyle.Primary);
        const row = new ActionRowBuilder().addComponents(button);
        await interaction.reply({ content: "press it", components: [row] });
    } else if (interaction.isButton()) {
        await interaction.update({ content: "pressed", components: [] });
        tell("clicked", { user: interaction.user.username });
    }
});

await client.login(token);
