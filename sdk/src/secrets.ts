import { Map, Object } from "./intrinsics";
import { objectOr } from "./json";

/** What the host dispatches before a script loads and whenever its guild's secrets change: name -> placeholder. */
export const secretsChanged = "FLORA_SECRETS";

/** The placeholders of the guild's secrets. The values never enter the guild process. */
export class Secrets {
  #placeholders = new Map<string, string>();

  readonly surface = Object.freeze({ get: (name: string) => this.#placeholders.get(name) ?? null });

  replace(payload: unknown): void {
    const placeholders = new Map<string, string>();
    for (const [name, value] of Object.entries(objectOr(payload))) {
      if (typeof value === "string") placeholders.set(name, value);
    }
    this.#placeholders = placeholders;
  }
}
