// The bot of the end-to-end benchmark with discord.js: `node bot_discord_js.mjs REST_URL TOKEN FILE`.
// FILE is the log of the counter, written through to the disk before the answer.

import { open } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

// The library lies where the benchmark has installed it, not beside this file.
const { Client, Events, GatewayIntentBits } = createRequire(join(process.cwd(), "package.json"))("discord.js");

const [restUrl, token, file] = process.argv.slice(2);
const log = await open(file, "a");
let count = 0;
const fibonacci = (n) => (n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2));

const client = new Client({
    intents: [GatewayIntentBits.Guilds, GatewayIntentBits.GuildMessages, GatewayIntentBits.MessageContent],
    rest: { api: restUrl.replace(/\/v10$/, ""), globalRequestsPerSecond: 1_000_000 },
});

client.once(Events.ClientReady, () =>
    client.application.commands.set([
        {
            name: "hello",
            description: "Says hello",
            options: [{ type: 3, name: "name", description: "To whom" }],
        },
    ]),
);

client.on(Events.MessageCreate, async (message) => {
    if (message.author.bot || !message.content.startsWith("!")) return;
    const [command, ...words] = message.content.slice(1).split(" ");
    if (command === "echo") {
        await message.reply(words.join(" "));
    } else if (command === "count") {
        count += 1;
        const now = count;
        await log.write(`${now}\n`);
        await log.datasync();
        await message.reply(`${words[0]} ${now}`);
    } else if (command === "cpu") {
        await message.reply(`${words[0]} ${fibonacci(18)}`);
    } else if (command === "busy") {
        for (const end = Date.now() + 200; Date.now() < end; );
        await message.reply(words[0]);
    }
});

client.on(Events.InteractionCreate, async (interaction) => {
    if (interaction.isChatInputCommand()) await interaction.reply(`hello ${interaction.options.getString("name")}`);
});

await client.login(token);
