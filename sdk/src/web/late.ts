import * as realm from "./realm";

declare const require: (name: string) => string;

/*
 * npm's packages are large and most scripts use none of them, so each comes as text (`flora/build/sdk.py` makes it
 * of `sdk/src/late/`) and is compiled when it is needed. Even code that never runs costs the fork server a parse,
 * and what that leaves in its heap every guild pays for.
 */
export const LATE = {
  tr46: () => compile("tr46", require("late-tr46")),
  streams: () => compile("streams", require("late-streams")),
  pattern: () => compile("pattern", require("late-pattern")),
} as const;

function compile(name: string, source: string): any {
  // The parameters stand for the free names in it, as `--inject` does it for the rest of the SDK.
  const body = `${source}return late;\n//# sourceURL=flora:sdk/${name}`;
  return new realm.Function(...Object.keys(realm), body)(...Object.values(realm));
}
