import { earn, leaderboard, rank } from "./levels";

on("messageCreate", earn);
createBot({ slashCommands: [rank, leaderboard] });
