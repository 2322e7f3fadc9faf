import { endPoll, poll, vote } from "./poll";

createBot({ slashCommands: [poll], components: [vote, endPoll] });
