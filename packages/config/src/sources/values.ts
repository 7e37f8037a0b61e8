import {
  assertShape,
  describeError,
  func,
  isPlainObject,
  listOf,
  required,
  shape,
  text,
  type Shape,
} from "@steward/core/driver";
import { isForbidden } from "../schema/names.ts";
import type { MapNode, Node, Reading } from "./node.ts";
import type { ReadContext, Source } from "./source.ts";
import { readVariables } from "./variables.ts";

/** Variables of an environment, such as `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** How the environment is read. */
export interface EnvOptions {
  /**
   * What the names of variables begin with, such as `CLIPS_`: every variable under it has to be one of the schema.
   * Default: nothing; then only names that are close to one of the schema are taken for mistyped ones.
   */
  readonly prefix?: string | undefined;
  /** Variables that are for others although they look like ours; `*` stands for any text. Default: none. */
  readonly ignore?: readonly string[] | undefined;
}

const envShape: Shape<EnvOptions> = /* @__PURE__ */ shape<EnvOptions>(() => ({
  prefix: text(true),
  ignore: listOf(text()),
}));

/** Variables of the environment: `database.maxConnections` is `CLIPS_DATABASE__MAX_CONNECTIONS` under `CLIPS_`. */
export function env(environment: Environment, options: EnvOptions = {}): Source {
  assertShape("env", envShape, options);
  const { prefix = "", ignore = [] } = options;
  return {
    name: "environment",
    files: [],
    prefix,
    read: ({ model, signal }) => {
      const variables = Object.entries(environment).flatMap(([name, text]) =>
        text === undefined ? [] : [{ name, text, at: `variable ${name}` }],
      );
      return readVariables(model.names, variables, { prefix, ignore, all: false, signal }, "environment");
    },
  };
}

/** Values that win over everything before them, such as those of a command line. They have the types of the schema. */
export function overrides(values: Readonly<Record<string, unknown>>, name = "overrides"): Source {
  return { name, files: [], read: () => readTree(values, name, false) };
}

/** A source of your own. */
export interface SourceOptions {
  /** Gives settings as an object; text in it may stand for numbers and the like, as in variables. */
  readonly read: (context: { readonly signal: AbortSignal }) => unknown;
  /** Files and folders that are watched for it. Default: none. */
  readonly files?: readonly string[] | undefined;
}

const sourceShape: Shape<SourceOptions> = /* @__PURE__ */ shape<SourceOptions>(() => ({
  read: required(func()),
  files: listOf(text()),
}));

/**
 * Settings from anywhere else: a database, a secret manager, another format.
 *
 * @example
 * ```ts
 * import { ConfigManager, count, source } from "@steward/config";
 * import * as v from "valibot";
 * const remote = source("vault", { read: async () => ({ workers: "4" }) });
 * await using manager = await new ConfigManager({ schema: v.strictObject({ workers: count() }), sources: [remote] }).start();
 * console.log(manager.client.workers); // => 4
 * ```
 */
export function source(name: string, options: SourceOptions): Source {
  assertShape("source", sourceShape, options);
  const read = async ({ signal }: ReadContext): Promise<Reading> => {
    try {
      return readTree(await options.read({ signal }), name, true);
    } catch (cause) {
      const message = `cannot be read: ${withoutUsers(describeError(cause))}`;
      return {
        node: undefined,
        problems: [{ code: "CONFIG_SOURCE_UNREADABLE", path: "", message, source: name, cause }],
      };
    }
  };
  return { name, files: options.files ?? [], read };
}

/** The text of an error of others may have a URL with a password in it. */
function withoutUsers(text: string): string {
  return text.replaceAll(/(\w:\/\/)[^\s/@]+@/g, "$1***@");
}

function readTree(value: unknown, name: string, isText: boolean): Reading {
  const unfit = (message: string): Reading => ({ node: undefined, problems: [{ path: "", message, source: name }] });
  try {
    const node = nodeOf(value, name, isText);
    return node?.kind === "map" ? { node, problems: [] } : unfit("gave no object with names");
  } catch (error) {
    if (error instanceof ForbiddenName) return unfit(error.message);
    throw error;
  }
}

/** A name that would change what an object is; others drop such names without a word. */
class ForbiddenName extends Error {}

function nodeOf(value: unknown, at: string, isText: boolean): Node | undefined {
  if (value === undefined) return undefined;
  if (Array.isArray(value)) return { kind: "list", at, items: value.flatMap((item) => nodeOf(item, at, isText) ?? []) };
  if (!isPlainObject(value)) return { kind: "value", at, value, isText: isText && typeof value === "string" };
  return mapOf(value, at, isText);
}

function mapOf(value: object, at: string, isText: boolean): MapNode {
  const entries = new Map<string, Node>();
  for (const [key, inner] of Object.entries(value)) {
    if (isForbidden(key)) throw new ForbiddenName(`"${key}" is no name for a setting`);
    const node = nodeOf(inner, at, isText);
    if (node !== undefined) entries.set(key, node);
  }
  return { kind: "map", at, entries };
}
