import type { Host, Sdk } from "../host";
import { Kit } from "./kit";

/**
 * The SDK of a process that runs tests: the production SDK, with virtual time under it and the test kit beside it.
 * `evaluate` gives the production SDK's `install`; it is called once time can be virtual, since the SDK takes the
 * built-ins that it needs when it is evaluated.
 */
export function install(evaluate: () => (host: Host) => Sdk): (host: Host) => Sdk {
  const kit = new Kit(evaluate);
  return (host) => kit.install(host);
}
