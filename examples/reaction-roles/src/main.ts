import { handOut, roles } from "./roles";

createBot({ slashCommands: [roles] });
handOut();
