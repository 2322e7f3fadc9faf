import { report } from "./commands/report";
import { timeout } from "./commands/timeout";
import { warn } from "./commands/warn";
import { watchWords } from "./filter";

watchWords();

createBot({
  slashCommands: [warn, timeout],
  contextMenus: [report],
  onError: (error, ctx) => {
    console.error(error);
    return ctx.reply({ content: `That did not work (${ctx.event.id}).`, ephemeral: true });
  },
});
