import { feedback, feedbackForm } from "./commands/feedback";
import { plant } from "./commands/plant";
import { again, roll } from "./commands/roll";

createBot({
  slashCommands: [roll, plant, feedback],
  components: [again],
  modals: [feedbackForm],
});
