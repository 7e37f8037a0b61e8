import { readdir } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import {
  assertShape,
  flag,
  listOf,
  nearest,
  recognised,
  shape,
  text,
  type Rule,
  type Shape,
} from "@steward/core/driver";
import { parseDotenv } from "./dotenv.ts";
import { assertPath, readText, TextFault } from "./file-text.ts";
import { parseJson } from "./json.ts";
import { merge, type Node, type Reading, type SourceProblem } from "./node.ts";
import { codeOf } from "./secret-text.ts";
import type { ReadContext, Source } from "./source.ts";
import { placeIn, SyntaxFault } from "./syntax.ts";
import { readVariables } from "./variables.ts";
import { parseYaml } from "./yaml.ts";

/** How a file is read. */
export interface FileOptions {
  /** True where it may be missing. Default `false`. */
  readonly optional?: boolean | undefined;
  /**
   * Reads a second file after it, which wins: `production` beside `app.yaml` is `app.production.yaml`. That file has to
   * exist, so that a mistyped profile is found. Default: none.
   */
  readonly profile?: string | undefined;
}

/** It becomes a part of the name of a file, and of no other folder. Empty, as an empty variable, is none. */
const profileRule: Rule = /* @__PURE__ */ recognised(
  (value) => typeof value === "string" && /^[\w.-]*$/.test(value),
  "a name of letters, digits, _, - and .",
);

const fileShape: Shape<FileOptions> = /* @__PURE__ */ shape<FileOptions>(() => ({
  optional: flag(),
  profile: profileRule,
}));

/** How a `.env` file is read. */
export interface DotenvOptions extends FileOptions {
  /** What the names of variables begin with, such as `CLIPS_`. Default: nothing. */
  readonly prefix?: string | undefined;
  /** Names that are for others; `*` stands for any text. Default: none, for the file is ours. */
  readonly ignore?: readonly string[] | undefined;
}

const dotenvShape: Shape<DotenvOptions> = /* @__PURE__ */ shape<DotenvOptions>(() => ({
  optional: flag(),
  profile: profileRule,
  prefix: text(true),
  ignore: listOf(text()),
}));

type Parse = (content: string, file: string, context: ReadContext) => Promise<Reading> | Reading;

/** Settings in a JSON file. */
export function jsonFile(path: string, options: FileOptions = {}): Source {
  assertShape("jsonFile", fileShape, options);
  return fileSource(path, options, (content, file) => ofTree(parseJson(content, file), file));
}

/** Settings in a YAML 1.2 file: without tags, and without names that are there twice. */
export function yamlFile(path: string, options: FileOptions = {}): Source {
  assertShape("yamlFile", fileShape, options);
  return fileSource(path, options, async (content, file) => ofTree(await parseYaml(content, file), file));
}

/** Variables in a `.env` file. Each has to be one of the schema. */
export function dotenvFile(path: string, options: DotenvOptions = {}): Source {
  assertShape("dotenvFile", dotenvShape, options);
  const { prefix = "", ignore = [] } = options;
  const parse: Parse = (content, file, { model, signal }) =>
    readVariables(model.names, parseDotenv(content, file), { prefix, ignore, all: true, signal }, file);
  return { ...fileSource(path, options, parse), prefix };
}

function fileSource(path: string, { optional = false, profile: given = "" }: FileOptions, parse: Parse): Source {
  assertPath(path);
  const profile = given === "" ? undefined : given;
  const files = profile === undefined ? [path] : [path, profilePath(path, profile)];
  return {
    name: path,
    files,
    read: async (context) => {
      const [base, special] = await Promise.all(
        files.map((file, index) => readOne(file, index === 0 && optional, parse, context)),
      );
      if (profile === undefined || special === undefined || base === undefined)
        return base ?? { node: undefined, problems: [] };
      const problems = [...base.problems, ...(await withNearProfile(path, profile, special.problems))];
      const node = special.node === undefined ? base.node : merge(base.node, special.node);
      return { node: node?.kind === "map" ? node : undefined, problems };
    },
  };
}

/** `app.production.yaml` beside `app.yaml`; `.env.production` beside `.env`. */
function profilePath(path: string, profile: string): string {
  const extension = extname(path);
  return join(dirname(path), `${basename(path, extension)}.${profile}${extension}`);
}

async function readOne(file: string, optional: boolean, parse: Parse, context: ReadContext): Promise<Reading> {
  const none = (problem: Omit<SourceProblem, "path">): Reading => ({
    node: undefined,
    problems: [{ path: "", ...problem }],
  });
  try {
    return await parse(await readText(file, context.signal), file, context);
  } catch (cause) {
    if (cause instanceof TextFault)
      return none({
        code: "CONFIG_PARSE_FAILED",
        message: cause.message,
        source: cause.at ? placeIn(file, cause.at) : file,
      });
    if (cause instanceof SyntaxFault)
      return none({ code: "CONFIG_PARSE_FAILED", message: cause.message, source: placeIn(file, cause) });
    const code = codeOf(cause);
    if (optional && code === "ENOENT") return { node: undefined, problems: [] };
    return none({
      code: "CONFIG_SOURCE_UNREADABLE",
      message: `cannot be read (${code})${REMEDIES[code] ?? ""}`,
      source: file,
      cause,
    });
  }
}

const REMEDIES: Readonly<Record<string, string>> = {
  ENOENT:
    ": it does not exist; is the path right, seen from where the process runs? { optional: true } allows it to be missing",
  EACCES: ": this process may not read it; look at its owner and mode",
  EISDIR: ": it is a folder; secretFiles(...) reads one",
};

function ofTree(node: Node, file: string): Reading {
  if (node.kind === "map") return { node, problems: [] };
  const message = "holds no object with names at its top";
  return { node: undefined, problems: [{ code: "CONFIG_PARSE_FAILED", path: "", message, source: file }] };
}

async function withNearProfile(
  path: string,
  profile: string,
  problems: readonly SourceProblem[],
): Promise<SourceProblem[]> {
  const isMissing = ({ code, cause }: SourceProblem): boolean =>
    code === "CONFIG_SOURCE_UNREADABLE" && codeOf(cause) === "ENOENT";
  if (!problems.some(isMissing)) return [...problems];
  const extension = extname(path);
  const [head, tail] = [`${basename(path, extension)}.`, extension];
  const there = await readdir(dirname(path)).catch(() => []);
  const profiles = there
    .filter((name) => name.startsWith(head) && name.endsWith(tail) && name.length > head.length + tail.length)
    .map((name) => name.slice(head.length, name.length - tail.length));
  const near = nearest(profile, profiles);
  const hint = near === undefined ? `profiles there: ${profiles.join(", ") || "none"}` : `did you mean "${near}"?`;
  return problems.map((problem) =>
    isMissing(problem) ? { ...problem, message: `the profile "${profile}" has no file; ${hint}` } : problem,
  );
}
