import { invokedPath } from "./interaction-data";
import { arrayOf, objectOr } from "./json";

/** Whether the member of an event has a role; false where the event has no member. */
export function hasRole(ctx: unknown, roleId: string): boolean {
  return arrayOf(objectOr(messageOf(ctx).member).roles).includes(roleId);
}

/** The name of the chosen subcommand, inside its group or not. */
export function getSubcommand(ctx: unknown): string | undefined {
  return invokedPath(messageOf(ctx).data).subcommand ?? undefined;
}

export function getSubcommandGroup(ctx: unknown): string | undefined {
  return invokedPath(messageOf(ctx).data).group ?? undefined;
}

function messageOf(ctx: unknown) {
  return objectOr(objectOr(ctx).msg);
}
