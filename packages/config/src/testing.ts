import { StewardError, type Definition } from "@steward/core";
import type { AnyDefinition } from "@steward/core/container";
import { config, configOf } from "./settings/definition.ts";
import type { Settings } from "./settings/value.ts";
import { overrides } from "./sources/values.ts";

/** Some of the settings, at any depth. */
export type PartOf<T> = T extends object ? { readonly [K in keyof T]?: PartOf<T[K]> | string | number } : T;

/**
 * Settings for tests, for `container.override`: the defaults of the schema and what is given here, checked as ever, and
 * nothing of the environment or of files.
 *
 * @throws {DEFINITION_INVALID} when the definition was not made by `config`.
 *
 * @example
 * ```ts
 * import { config, env, port } from "@steward/config";
 * import { testConfig } from "@steward/config/testing";
 * import { container } from "@steward/container";
 * import * as v from "valibot";
 * const settings = config("settings", {
 *   schema: v.strictObject({ port: port() }),
 *   sources: [env({}, { prefix: "CLIPS_" })],
 * });
 * const app = container([settings]).override(settings, testConfig(settings, { port: 0 }));
 * await using running = await app.start();
 * console.log(running.get(settings).port); // => 0
 * ```
 */
export function testConfig<V extends object>(
  definition: Definition<V, string, string>,
  values: PartOf<Omit<V, "get">> = {} as PartOf<Omit<V, "get">>,
): Definition<V> {
  if (definition === undefined)
    throw new StewardError(
      "NEED_INVALID",
      "testConfig(...) was given undefined: most often two modules import each other",
    );
  const { model, live } = configOf(definition as AnyDefinition);
  const schema = model.schema as Parameters<typeof config>[1]["schema"]; // the one of the definition
  const made = config(definition.name, {
    schema,
    sources: [overrides(values as Readonly<Record<string, unknown>>, "the test")],
    live,
  });
  return made as Definition<V>; // of the same schema
}

export type { Settings };
