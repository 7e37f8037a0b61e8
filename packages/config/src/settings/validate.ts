import { parseOptions, type OptionsSchema } from "@steward/core/driver";
import { fieldAt } from "../schema/field.ts";
import type { Model } from "../schema/read-schema.ts";
import { keysOf } from "../schema/standard.ts";
import { nodeAt, type Node, type SourceProblem } from "../sources/node.ts";

/** What the schema makes of the settings. */
export type Validated =
  | { readonly value: Readonly<Record<string, unknown>>; readonly problems: readonly [] }
  | { readonly value: undefined; readonly problems: readonly SourceProblem[] };

/** Has the schema judge the settings; every problem says where its value stands, and none repeats it. */
export async function validate(merged: Merged): Promise<Validated> {
  const { model, given } = merged;
  const { value, problems } = isValibot(model.schema) ? byValibot(model, given) : await byOthers(model, given);
  if (value !== undefined) return { value, problems: [] };
  return {
    value: undefined,
    problems: problems.map(({ path, message }) => located(merged, path, message)),
  };
}

/** What is judged: values, the places where they stand, and the prefix of variables that could set them. */
export interface Merged {
  readonly model: Model;
  readonly given: Readonly<Record<string, unknown>>;
  readonly node: Node;
  readonly prefix: string;
}

/** Core's own words are for its schemas that do not wait. */
function isValibot(schema: Model["schema"]): boolean {
  return schema["~standard"].vendor === "valibot" && !("async" in schema && schema.async === true);
}

interface Found {
  readonly path: string;
  readonly message: string;
}

interface Judged {
  readonly value: Readonly<Record<string, unknown>> | undefined;
  readonly problems: readonly Found[];
}

function byValibot({ resource, schema }: Model, given: Readonly<Record<string, unknown>>): Judged {
  const { options, problems } = parseOptions(resource, schema as OptionsSchema, given); // its vendor says so
  return { value: options as Judged["value"], problems };
}

async function byOthers({ schema }: Model, given: Readonly<Record<string, unknown>>): Promise<Judged> {
  const result = await schema["~standard"].validate(given);
  if (result.issues === undefined) return { value: frozen(result.value) as Judged["value"], problems: [] };
  return {
    value: undefined,
    problems: result.issues.map((issue) => ({ path: keysOf(issue).join("."), message: issue.message })),
  };
}

function frozen(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return value;
  for (const inner of Object.values(value)) frozen(inner);
  return Object.freeze(value);
}

function located({ model, given, node, prefix }: Merged, path: string, message: string): SourceProblem {
  const keys = path === "" ? [] : path.split(".");
  const text = withoutValue(message, valueAt(given, keys), fieldAt(model.root, keys)?.secret === true);
  const source = placeAt(node, keys);
  return { path, message: source === undefined ? `${text}${remedy(model, path, prefix)}` : text, source };
}

/** Where a value stands: what is inside of a text, such as one of several with commas between them, is where that is. */
function placeAt(root: Node, keys: readonly string[]): string | undefined {
  for (const length of keys.keys()) {
    const outer = nodeAt(root, keys.slice(0, length));
    if (outer?.kind === "value") return outer.at;
  }
  return nodeAt(root, keys)?.at;
}

/** What is missing has no place, so it says where it could stand. */
function remedy({ names }: Model, path: string, prefix: string): string {
  const leaf = names.byPath.get(path);
  return leaf === undefined ? "" : `; set ${names.variableOf(leaf, prefix)} in the environment, or ${path} in a file`;
}

function valueAt(given: unknown, keys: readonly string[]): unknown {
  return keys.reduce<unknown>(
    (value, key) => (typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined),
    given,
  );
}

/** Shorter text is part of other words, and no secret. */
const MIN_HIDDEN = 4;

/** A message of a schema may repeat what was given, and a secret may stand in any place. */
function withoutValue(message: string, value: unknown, isSecret: boolean): string {
  if (typeof value !== "string" && !(isSecret && typeof value === "number")) return message;
  const text = String(value);
  return text.length < MIN_HIDDEN
    ? message
    : message.replaceAll(JSON.stringify(text), "this text").replaceAll(text, "this text");
}
