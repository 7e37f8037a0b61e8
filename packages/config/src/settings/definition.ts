import { resource, StewardError, type Definition } from "@steward/core";
import {
  isDefinition,
  type AnyDefinition,
  type CheckedNeeds,
  type Needs,
  type OpenOfAll,
  type ResourceSettings,
  type ValuesOf,
} from "@steward/core/container";
import {
  defineDriver,
  OptionsError,
  parseOptions,
  type ManagedSettings,
  type StandardSchema,
} from "@steward/core/driver";
import { ConfigManager } from "../manager.ts";
import { configSchema, type ConfigOptions } from "../options.ts";
import { fieldAt } from "../schema/field.ts";
import { readSchema, type Model } from "../schema/read-schema.ts";
import type { OutputOf } from "../schema/standard.ts";
import type { Source } from "../sources/source.ts";
import { isWithin } from "./changes.ts";
import { noteSection } from "./section-path.ts";
import { valueAt, type Frozen, type PathOf, type Settings, type ValueAt } from "./value.ts";

/** Options of {@link config}. */
export interface ConfigDefinitionOptions<S extends StandardSchema, N extends Needs>
  extends Omit<ConfigOptions<S>, "sources">, Omit<ManagedSettings<undefined>, "enabled"> {
  /** What the sources are made of, by reference: the environment, or a client of a secret manager. */
  readonly needs?: (N & CheckedNeeds<"application", N>) | undefined;
  /** Where settings come from, in order: later ones win. */
  readonly sources: readonly Source[] | ((needs: ValuesOf<N>) => readonly Source[]);
}

/** What is known of a definition that `config` made. */
export interface ConfigDefinition {
  readonly model: Model;
  readonly live: readonly string[];
  readonly needs: Needs;
  readonly sources: (needs: Readonly<Record<string, unknown>>) => readonly Source[];
}

const made = new WeakMap<AnyDefinition, ConfigDefinition>();

const driver = defineDriver<ConfigOptions, object>({
  kind: "config",
  schema: configSchema,
  first: true,
  settings: { tags: ["config"] },
  create: (options, context) => new ConfigManager(options, context),
});

/** What every resource can say of itself; all else is for settings alone. */
const OF_RESOURCES: readonly string[] = [
  "criticality",
  "readiness",
  "tags",
  "startTimeoutMs",
  "startRetry",
  "drainTimeoutMs",
  "stopTimeoutMs",
  "health",
  "metrics",
  "restart",
] satisfies readonly (keyof ResourceSettings)[];

/**
 * Defines the settings of an application: one schema, and where its values come from. They are read before anything
 * else starts, and everything that is wrong is said at once. A container with wrong settings opens no socket.
 *
 * @throws {DEFINITION_INVALID} when the schema does not say its names, or two of them collide.
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { config, env, port, secret } from "@steward/config";
 * import { container } from "@steward/container";
 * import * as v from "valibot";
 * const settings = config("settings", {
 *   schema: v.strictObject({ port: v.optional(port(), 3000), token: secret({ minBytes: 16 }) }),
 *   sources: [env({ CLIPS_TOKEN: "k3nd7-2hf9q-x8w1z-5vbt0" }, { prefix: "CLIPS_" })],
 * });
 * await using running = await container([settings]).start();
 * console.log(running.get(settings).port, String(running.get(settings).token)); // => 3000 [secret]
 * ```
 */
export function config<S extends StandardSchema, const N extends Needs = {}>(
  name: string,
  options: ConfigDefinitionOptions<S, N>,
): Definition<Settings<OutputOf<S>>, "application", OpenOfAll<N>> {
  const { needs, sources, ...rest } = options ?? ({} as typeof options); // without types it may be missing, which is refused below
  const { settings, own } = split(rest);
  const known = [...OF_RESOURCES, "needs"];
  const { problems } = parseOptions(name, configSchema, { ...own, sources: literal(sources) }, known);
  if (problems.length > 0) throw new OptionsError(problems);
  const model = readSchema(name, rest.schema);
  for (const path of rest.live ?? []) assertPath(name, model, path);
  const all = (values: Readonly<Record<string, unknown>>): readonly Source[] =>
    typeof sources === "function" ? sources(values as ValuesOf<N>) : sources; // the container gives what is needed
  const definition = driver(name, {
    ...settings,
    needs: { ...(needs as Needs | undefined) } as {}, // what they are is checked where they are used
    options: (values: Readonly<Record<string, unknown>>) => ({ ...own, sources: all(values) }) as ConfigOptions,
  });
  made.set(definition, { model, live: rest.live ?? [], needs: needs ?? {}, sources: all });
  return definition as unknown as Definition<Settings<OutputOf<S>>, "application", OpenOfAll<N>>; // the driver forgets the types of one schema
}

/** Sources that are computed are checked once they are. */
function literal(sources: unknown): unknown {
  return typeof sources === "function" ? [] : sources;
}

interface Split {
  readonly settings: object;
  readonly own: Readonly<Record<string, unknown>>;
}

function split(given: object): Split {
  const entries = Object.entries(given);
  return {
    settings: Object.fromEntries(entries.filter(([key]) => OF_RESOURCES.includes(key))),
    own: Object.fromEntries(entries.filter(([key]) => !OF_RESOURCES.includes(key))),
  };
}

function assertPath(name: string, { root, names }: Model, path: string): void {
  const keys = String(path).split("."); // without types it may be anything
  if (fieldAt(root, keys) !== undefined && !names.leaves.some((leaf) => path.startsWith(`${leaf.path}.`))) return;
  const near = names.nearest(keys, names.paths);
  const hint = near === undefined ? `known: ${[...names.byPath.keys()].join(", ")}` : `did you mean "${near}"?`;
  throw new StewardError("DEFINITION_INVALID", `${name}: "${path}" is not a setting; ${hint}`, { resource: name });
}

/** Whether a definition was made by {@link config}. */
export function isConfig(definition: AnyDefinition): boolean {
  return made.has(definition);
}

/** What `config` knows of a definition that it made. */
export function configOf(definition: AnyDefinition): ConfigDefinition {
  const found = isDefinition(definition) ? made.get(definition) : undefined;
  if (found !== undefined) return found;
  const name = isDefinition(definition) ? definition.name : String(definition);
  throw new StewardError("NEED_INVALID", `"${name}" is not a definition that config(...) has made`);
}

const sections = new WeakMap<AnyDefinition, Map<string, AnyDefinition>>();

/**
 * A part of the settings as a resource of its own. It is made anew, and with it all that needs it, exactly when something
 * in this part has changed; the old ones work until the new ones are up. The same path gives the same definition.
 *
 * @throws {DEFINITION_INVALID} when there is no such path, or it is `live`: then it is read through `current(settings)`.
 *
 * @example
 * ```ts
 * import { config, count, overrides, section } from "@steward/config";
 * import { container } from "@steward/container";
 * import { resource } from "@steward/core";
 * import * as v from "valibot";
 * const settings = config("settings", {
 *   schema: v.strictObject({ pool: v.strictObject({ size: count() }) }),
 *   sources: [overrides({ pool: { size: 4 } })],
 * });
 * const pool = resource("pool", { needs: { pool: section(settings, "pool") }, start: ({ pool }) => new Array(pool.size) });
 * await using running = await container([pool]).start();
 * console.log(running.get(pool).length); // => 4
 * ```
 */
export function section<V extends object, R extends string, O extends string, const P extends PathOf<V>>(
  settings: Definition<V, R, O>,
  path: P,
): Definition<Frozen<ValueAt<V, P>>, "application", O> {
  const { model, live } = configOf(settings);
  assertPath(settings.name, model, path);
  if (live.some((outer) => isWithin(path, outer))) {
    const message = `${settings.name}: "${path}" is live, so it changes without a restart: need current(${settings.name}) and read it where it is used`;
    throw new StewardError("DEFINITION_INVALID", message, { resource: settings.name });
  }
  const known = sections.get(settings) ?? new Map<string, AnyDefinition>();
  const definition = known.get(path) ?? makeSection(settings, path);
  sections.set(settings, known.set(path, definition));
  return definition as Definition<Frozen<ValueAt<V, P>>, "application", O>; // of this path
}

function makeSection(settings: AnyDefinition, path: string): AnyDefinition {
  const keys = path.split(".");
  const needs = { settings: settings as Definition<unknown> }; // its type is checked where it is named
  const definition = resource(`${settings.name}.${path}`, {
    needs,
    tags: ["config"],
    start: ({ settings }) => valueAt(settings, keys),
  });
  noteSection(definition, path);
  return definition;
}
