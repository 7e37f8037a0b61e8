import { originOf, type AnyDefinition } from "@steward/core/container";

const paths = new WeakMap<AnyDefinition, string>();

/** Remembers which part of the settings a definition is. */
export function noteSection(definition: AnyDefinition, path: string): void {
  paths.set(definition, path);
}

/** The path of the part of the settings that a definition is; `undefined` for any other. */
export function sectionPath(definition: AnyDefinition): string | undefined {
  return paths.get(originOf(definition));
}
