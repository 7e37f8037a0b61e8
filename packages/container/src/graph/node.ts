import { edgeOf, type AnyDefinition, type EdgeSpec, type Need, type Spec } from "@steward/core/container";

/** What stands in for a definition: a value, or another definition. */
export type Override =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "definition"; readonly definition: AnyDefinition };

/** Which definitions are replaced by what. */
export type Overrides = ReadonlyMap<AnyDefinition, Override>;

/** An edge of the graph of application resources, by the index of what it points to. */
export type Edge =
  | {
      readonly kind: "plain" | "lazy" | "current";
      /** Why it points to an instance that nothing else has. */
      readonly instance?: "fresh" | "transient" | undefined;
      readonly key: string;
      readonly to: number;
      readonly optional: boolean;
    }
  | {
      readonly kind: "when";
      readonly key: string;
      readonly condition: number;
      /** Whether the value of the condition chooses `whenTrue`. */
      readonly test: (value: unknown) => boolean;
      readonly whenTrue: Edge;
      readonly whenFalse: Edge;
      readonly optional: boolean;
    };

/** An application resource in the graph. */
export interface GraphNode {
  readonly index: number;
  readonly name: string;
  readonly definition: AnyDefinition;
  readonly spec: Spec;
  /** A constant in its place: an input's value, or that of an override. */
  readonly constant: { readonly value: unknown } | undefined;
  readonly edges: readonly Edge[];
}

/** Lifetimes that the container itself holds; all others belong to scopes. */
export function isHeldByContainer(definition: AnyDefinition): boolean {
  return definition.lifetime === "application" || definition.lifetime === "process";
}

/** A plain resource that may be down has no object while it is. A managed one always has its client. */
export function mayBeDown(spec: Spec): boolean {
  return spec.kind === "plain" && spec.settings.criticality === "optional";
}

/** Everything that an edge may lead to. */
export function targetsOf(edge: EdgeSpec): AnyDefinition[] {
  return edge.kind === "when"
    ? [edge.condition, ...targetsOf(edge.whenTrue), ...targetsOf(edge.whenFalse)]
    : [edge.target];
}

/** Everything that a need may lead to. */
export function targetsOfNeed(need: Need): AnyDefinition[] {
  return targetsOf(edgeOf(need));
}
