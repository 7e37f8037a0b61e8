import { nearest } from "@steward/core/driver";
import type { Leaf } from "../schema/field.ts";
import { FILE_SUFFIX, type Names } from "../schema/names.ts";
import { readText } from "./file-text.ts";
import { mapAt, put, type MapNode, type Reading, type SourceProblem } from "./node.ts";
import { unreadable, withoutLastBreak } from "./secret-text.ts";

/** One variable, wherever it was set. */
export interface Variable {
  readonly name: string;
  readonly text: string;
  readonly at: string;
}

/** How variables are read. */
export interface VariableRules {
  readonly prefix: string;
  /** Names that are not for us; `*` stands for any text. */
  readonly ignore: readonly string[];
  /** True where every name is to be one of ours, as in a file of them; else only those under the prefix. */
  readonly all: boolean;
  /** Ends the wait for files that variables name. */
  readonly signal: AbortSignal;
}

/** Names shorter than this are too common to be taken for mistyped ones. */
const MIN_NEAR = 8;
const MAX_DISTANCE_LETTERS = 2;

/** Turns variables into what the schema calls them; what is unknown is refused with the name it most likely means. */
export async function readVariables(
  names: Names,
  variables: readonly Variable[],
  rules: VariableRules,
  at: string,
): Promise<Reading> {
  const known = names.variables(rules.prefix);
  const root = mapAt(at);
  const problems: SourceProblem[] = [];
  const given = new Set(variables.filter(({ text }) => text !== "").map(({ name }) => name));
  for (const variable of variables) {
    const leaf = known.get(variable.name);
    const ofFile = fileLeaf(known, variable.name);
    if (leaf !== undefined) setText(root, leaf, variable);
    else if (ofFile !== undefined) problems.push(...(await setFromFile(root, ofFile, variable, given, rules.signal)));
    else problems.push(...unknown(known, variable, rules, given));
  }
  return { node: root, problems };
}

function setText(root: MapNode, { keys, field }: Leaf, { text, at }: Variable): void {
  if (text === "" && !(field.kind === "value" && field.mayBeEmpty)) return;
  put(root, keys, { kind: "value", at, value: text, isText: true });
}

/** The secret whose file a variable names. */
function fileLeaf(known: ReadonlyMap<string, Leaf>, name: string): Leaf | undefined {
  const leaf = name.endsWith(FILE_SUFFIX) ? known.get(name.slice(0, -FILE_SUFFIX.length)) : undefined;
  return leaf?.field.secret === true ? leaf : undefined;
}

async function setFromFile(
  root: MapNode,
  { keys, path }: Leaf,
  { name, text: file, at }: Variable,
  given: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<SourceProblem[]> {
  if (file === "") return [];
  const bare = name.slice(0, -FILE_SUFFIX.length);
  if (given.has(bare))
    return [{ path, message: `is given twice: by ${bare} and by ${name}; set one of them`, source: at }];
  try {
    put(root, keys, { kind: "value", at, value: withoutLastBreak(await readText(file, signal)), isText: true });
    return [];
  } catch (cause) {
    const message = unreadable(cause, "does it exist, and may this process read it?");
    return [{ code: "CONFIG_SOURCE_UNREADABLE", path, message, source: at, cause }];
  }
}

function unknown(
  known: ReadonlyMap<string, Leaf>,
  { name, at }: Variable,
  { prefix, ignore, all }: VariableRules,
  given: ReadonlySet<string>,
): SourceProblem[] {
  if (ignore.some((pattern) => matches(pattern, name))) return [];
  const isOurs = all || (prefix !== "" && name.toUpperCase().startsWith(prefix.toUpperCase()));
  const near = nearest(name, known.keys());
  const isMistyped = near !== undefined && isNearMiss(name, near) && !given.has(near);
  if (!isOurs && !isMistyped) return [];
  const hint = near === undefined ? `known: ${[...known.keys()].join(", ")}` : `did you mean ${near}?`;
  const meant = near === undefined ? undefined : known.get(near)?.path;
  return [{ path: "", message: `${name} is no variable of these settings; ${hint}`, source: at, meant }];
}

/** Whether a name outside of the prefix can hardly be anything but a mistyped one of ours. */
function isNearMiss(name: string, near: string): boolean {
  return (
    near.length >= MIN_NEAR &&
    Math.abs(name.length - near.length) <= MAX_DISTANCE_LETTERS &&
    nearest(name, [near]) !== undefined &&
    differing(name, near) <= MAX_DISTANCE_LETTERS
  );
}

/** How many letters are left over once what is equal at both ends is taken away. */
function differing(a: string, b: string): number {
  let start = 0;
  while (start < Math.min(a.length, b.length) && a[start] === b[start]) start++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  return Math.max(a.length, b.length) - start - end;
}

function matches(pattern: string, name: string): boolean {
  const [head = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return pattern === name;
  let offset = name.startsWith(head) ? head.length : -1;
  for (const [index, part] of rest.entries()) {
    if (offset === -1) return false;
    const isLast = index === rest.length - 1;
    if (isLast) return name.length - part.length >= offset && name.endsWith(part);
    const found = name.indexOf(part, offset);
    offset = found === -1 ? -1 : found + part.length;
  }
  return offset !== -1;
}
