import { invalid } from "../errors";
import { Array } from "../intrinsics";
import { isObject } from "../json";
import { MAX_CUSTOM_ID, text } from "./limits";

/**
 * A component under construction. Made of Discord's own JSON, so that `toJSON` has nothing to translate and
 * fields that Discord adds later can be set through `data`.
 */
export abstract class Component {
  readonly data: ComponentJson;

  protected constructor(type: number, initial: Record<string, unknown> = {}) {
    this.data = { type, ...initial };
  }

  protected set(key: string, value: unknown): this {
    this.data[key] = value;
    return this;
  }

  toJSON(): ComponentJson {
    return { ...this.data };
  }
}

export function customId(value: string): string {
  return text("customId", value, MAX_CUSTOM_ID, 1);
}

/** Builders and plain JSON alike; one list in place of several arguments is the same. */
export function childrenOf(components: readonly (ComponentLike | readonly ComponentLike[])[]): ComponentJson[] {
  return components.flat().map(childOf);
}

export function childOf(component: ComponentLike): ComponentJson {
  const json = isObject(component) && typeof component.toJSON === "function" ? component.toJSON() : component;
  if (!isObject(json) || Array.isArray(json)) throw invalid("components", "a component must be a builder or an object");
  return json as ComponentJson;
}
