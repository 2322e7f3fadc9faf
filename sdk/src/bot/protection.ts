import type { Context } from "../context";
import { invalid } from "../errors";
import { hasRole } from "../helpers";
import { Array, Date, Map, Math } from "../intrinsics";
import { isObject, objectOr } from "../json";
import { hasPermission, permissionBits } from "../permissions";
import type { Definition } from "./commands";

/*
 * What stands before a command: roles, permissions, guards, cooldown, in this order, so that a refused use does
 * not count against the cooldown.
 */

/** Lets a context through (null) or says why not. */
export type Protection = (ctx: Context) => Promise<string | null>;

const REFUSED = "You may not use this command.";

/** The checks of a command and, before them, those of what it belongs to. Throws InvalidInputError for wrong ones. */
export function protection(label: string, owners: readonly Definition[], cooldowns: Cooldowns): Protection {
  const checks = owners.flatMap((owner, level) => checksOf(label, owner, `${label} ${level}`, cooldowns));
  return async (ctx) => {
    for (const check of checks) {
      const refusal = await check(ctx);
      if (refusal !== null) return refusal;
    }
    return null;
  };
}

type Check = (ctx: Context) => string | null | Promise<string | null>;

function checksOf(label: string, owner: Definition, scope: string, cooldowns: Cooldowns): Check[] {
  const checks: Check[] = [];
  const { requiredRoles, requiredPermissions, guards, cooldown } = owner;
  if (requiredRoles !== undefined) {
    if (!Array.isArray(requiredRoles)) throw invalid(`${label}.requiredRoles`, "a list of role ids is needed");
    checks.push((ctx) => (requiredRoles.some((role) => hasRole(ctx, role)) ? null : REFUSED));
  }
  if (requiredPermissions !== undefined) {
    const needed = permissionBits(requiredPermissions);
    checks.push((ctx) => (hasPermission(ctx, needed) ? null : REFUSED));
  }
  for (const guard of Array.isArray(guards) ? guards : guards === undefined ? [] : [guards]) {
    if (typeof guard !== "function") throw invalid(`${label}.guards`, "each guard must be a function");
    checks.push(async (ctx) => verdict(await guard(ctx)));
  }
  if (cooldown !== undefined) {
    const rule = cooldownRule(label, cooldown);
    checks.push((ctx) => cooldowns.take(scope, rule, ctx));
  }
  return checks;
}

function verdict(answer: unknown): string | null {
  if (typeof answer === "string") return answer;
  return answer === false ? REFUSED : null;
}

interface CooldownRule {
  readonly seconds: number;
  readonly uses: number;
  readonly per: "user" | "channel" | "guild";
}

function cooldownRule(label: string, value: unknown): CooldownRule {
  const { seconds, uses = 1, per = "user" } = isObject(value) ? value : { seconds: value };
  if (typeof seconds !== "number" || !(seconds > 0)) {
    throw invalid(`${label}.cooldown`, "a number of seconds above 0 is needed");
  }
  if (typeof uses !== "number" || !(uses >= 1)) throw invalid(`${label}.cooldown.uses`, "at least 1 is needed");
  if (per !== "user" && per !== "channel" && per !== "guild") {
    throw invalid(`${label}.cooldown.per`, `"${per}" is unknown; use user, channel or guild`);
  }
  return { seconds, uses, per };
}

/** Windows in which a command may be used so many times. In memory: a new deployment starts afresh. */
export class Cooldowns {
  readonly #windows = new Map<string, { uses: number; endsAt: number }>();
  #sweepAt = 1000;

  take(scope: string, rule: CooldownRule, ctx: Context): string | null {
    const now = Date.now();
    const key = `${scope} ${who(rule.per, ctx)}`;
    const window = this.#windows.get(key);
    if (window === undefined || window.endsAt <= now) {
      this.#sweep(now);
      this.#windows.set(key, { uses: 1, endsAt: now + rule.seconds * 1000 });
      return null;
    }
    if (window.uses < rule.uses) {
      window.uses += 1;
      return null;
    }
    const seconds = Math.max(1, Math.ceil((window.endsAt - now) / 1000));
    return `Slow down: try again in ${seconds} second${seconds === 1 ? "" : "s"}.`;
  }

  /** Each time the windows have doubled: constant cost per use, memory in proportion to the live ones. */
  #sweep(now: number): void {
    if (this.#windows.size < this.#sweepAt) return;
    for (const [key, window] of this.#windows) if (window.endsAt <= now) this.#windows.delete(key);
    this.#sweepAt = Math.max(1000, this.#windows.size * 2);
  }
}

function who(per: CooldownRule["per"], ctx: Context): unknown {
  if (per === "guild") return "";
  if (per === "channel") return ctx.msg.channelId;
  return objectOr(ctx.msg.author ?? ctx.msg.user).id;
}
