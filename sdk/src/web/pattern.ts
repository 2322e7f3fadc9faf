import { LATE } from "./late";
import { showAs, showing } from "./platform";

/** URLPattern (URL Pattern Standard), from npm; it reads the global `URL` when it is used. */
export const { URLPattern } = LATE.pattern();
showAs(URLPattern, "URLPattern", showing("protocol", "hostname", "port", "pathname", "search", "hash"));
