import { counter } from "./commands/counter";
import { hello } from "./commands/hello";
import { ping } from "./commands/ping";

createBot({
  prefix: "!",
  prefixCommands: [ping],
  slashCommands: [hello, counter],
});
