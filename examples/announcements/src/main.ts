import { announce, announcements, sendTasks } from "./announce";
import { fixedTimes } from "./times";

fixedTimes();
sendTasks();
createBot({ slashCommands: [announcements, announce] });
