import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { assertShape, flag, listOf, recordOf, shape, text, type Shape } from "@steward/core/driver";
import type { Leaf } from "../schema/field.ts";
import type { Model } from "../schema/read-schema.ts";
import { assertPath, readText } from "./file-text.ts";
import { mapAt, put, type Node, type Reading, type SourceProblem } from "./node.ts";
import { codeOf, unreadable, withoutLastBreak } from "./secret-text.ts";
import type { ReadContext, Source } from "./source.ts";

/** How a folder of secrets is read. */
export interface SecretFilesOptions {
  /** True where the folder may be missing. Default `false`. */
  readonly optional?: boolean | undefined;
  /** Paths of settings by the names of files that others have chosen: `{ "clips-db": "database.url" }`. */
  readonly names?: Readonly<Record<string, string>> | undefined;
  /** Files that are for others. Default: none. */
  readonly ignore?: readonly string[] | undefined;
}

const secretFilesShape: Shape<SecretFilesOptions> = /* @__PURE__ */ shape<SecretFilesOptions>(() => ({
  optional: flag(),
  names: recordOf(text()),
  ignore: listOf(text()),
}));

/** Others on the machine may read it. */
const WORLD_READABLE = 0o004;

/**
 * One file for each secret, as Docker (`/run/secrets`) and Kubernetes mount them. A file is called as the path of its
 * setting: `database.url`. Names that begin with a dot are passed over.
 */
export function secretFiles(folder: string, options: SecretFilesOptions = {}): Source {
  assertShape("secretFiles", secretFilesShape, options);
  assertPath(folder);
  return { name: folder, files: [folder], read: (context) => readFolder(folder, options, context) };
}

async function readFolder(
  folder: string,
  options: SecretFilesOptions,
  { model, signal }: ReadContext,
): Promise<Reading> {
  const { optional = false, names = {}, ignore = [] } = options;
  let files: string[];
  try {
    files = await readdir(folder);
  } catch (cause) {
    if (optional && codeOf(cause) === "ENOENT") return { node: undefined, problems: [] };
    const message = `cannot be read (${codeOf(cause)}); is the folder mounted, and may this process read it?`;
    return {
      node: undefined,
      problems: [{ code: "CONFIG_SOURCE_UNREADABLE", path: "", message, source: folder, cause }],
    };
  }
  const ours = files.filter((name) => !name.startsWith(".") && !ignore.includes(name)).sort();
  const read = await Promise.all(
    ours.map(async (name): Promise<ReadFile> => {
      const leaf = model.names.byPath.get(Object.hasOwn(names, name) ? (names[name] ?? name) : name);
      const at = join(folder, name);
      return leaf === undefined ? { problem: unknownFile(model, name, at) } : readOne(leaf, at, signal);
    }),
  );
  const root = mapAt(folder);
  for (const { leaf, node } of read) if (leaf !== undefined && node !== undefined) put(root, leaf.keys, node);
  const open = ours.filter((_, index) => read[index]?.isOpen === true);
  return {
    node: root,
    problems: read.flatMap(({ problem }) => problem ?? []),
    warnings: open.length === 0 ? [] : [readable(folder, open)],
  };
}

/** One file: what it holds, or what is wrong with it. */
interface ReadFile {
  readonly leaf?: Leaf;
  readonly node?: Node;
  readonly isOpen?: boolean;
  readonly problem?: SourceProblem;
}

function unknownFile({ names }: Model, name: string, source: string): SourceProblem {
  const near = names.nearest(name.split("."), names.byPath.keys());
  const hint = near === undefined ? `known: ${[...names.byPath.keys()].join(", ")}` : `did you mean "${near}"?`;
  return { path: "", message: `the file "${name}" is called as no setting; ${hint}`, source, meant: near };
}

async function readOne(leaf: Leaf, at: string, signal: AbortSignal): Promise<ReadFile> {
  try {
    const { mode } = await stat(at);
    const isOpen = (mode & WORLD_READABLE) !== 0 && process.platform !== "win32";
    const value = withoutLastBreak(await readText(at, signal));
    return { leaf, isOpen, node: { kind: "value", at, value, isText: true } };
  } catch (cause) {
    const message = unreadable(cause, "may this process read it?");
    return { problem: { code: "CONFIG_SOURCE_UNREADABLE", path: leaf.path, message, source: at, cause } };
  }
}

function readable(folder: string, names: readonly string[]): string {
  return `${folder}: everybody on this machine may read ${names.join(", ")}; chmod o-r closes them`;
}
