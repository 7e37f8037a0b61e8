import { originOf, specOf, type AnyDefinition } from "@steward/core/container";
import type { Override, Overrides } from "./node.ts";

/** A definition as an asker sees it, and the value that was put in its place, if any. */
export interface Resolution {
  readonly definition: AnyDefinition;
  readonly constant: { readonly value: unknown } | undefined;
}

/** What stands in for what: overrides from before the start, and those for scopes alone. */
export class Replacements {
  readonly #overrides: Overrides;
  /** For scopes; the last of a definition is in force. */
  readonly #ofScopes = new Map<AnyDefinition, readonly { readonly override: Override }[]>();

  constructor(overrides: Overrides) {
    this.#overrides = overrides;
  }

  /** All of them. */
  get all(): (readonly [AnyDefinition, Override])[] {
    const ofScopes = [...this.#ofScopes].flatMap(([definition, all]) =>
      all.map(({ override }) => [definition, override] as const),
    );
    return [...this.#overrides, ...ofScopes];
  }

  /** A definition as the asker sees it: the override's, or itself. A replacement may wrap the original: it sees that. */
  resolve(definition: AnyDefinition, asker: AnyDefinition | undefined): Resolution {
    const override = this.#of(definition, asker);
    if (override === undefined) return { definition, constant: undefined };
    return override.kind === "value"
      ? { definition, constant: override }
      : { definition: override.definition, constant: undefined };
  }

  /** One more for scopes; gives what takes it back, in any order. */
  add(definition: AnyDefinition, override: Override): () => void {
    const own = { override };
    this.#ofScopes.set(definition, [...(this.#ofScopes.get(definition) ?? []), own]);
    return () => {
      const others = (this.#ofScopes.get(definition) ?? []).filter((one) => one !== own);
      if (others.length === 0) this.#ofScopes.delete(definition);
      else this.#ofScopes.set(definition, others);
    };
  }

  #of(definition: AnyDefinition, asker: AnyDefinition | undefined): Override | undefined {
    const origin = originOf(definition);
    const override = this.#ofScopes.get(origin)?.at(-1)?.override ?? this.#overrides.get(origin);
    if (override === undefined || override.kind === "value") return override;
    if (asker !== undefined && override.definition === originOf(asker)) return undefined;
    const variant = specOf(definition).variant;
    return variant === undefined ? override : { kind: "definition", definition: variant.remake(override.definition) };
  }
}
