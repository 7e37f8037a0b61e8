import { dirname, join } from "node:path/posix";
import ts from "typescript-js";
import { count, sawNothing, type Check } from "./check.ts";
import { importsOf, placeOf } from "./imports.ts";
import type { SourceFile } from "./workspace.ts";

const MOST_FILES = 14;
const MOST_LINES = 380;
const MOST_CLASS_LINES = 300;

/** A folder is a concept of a size that one can read, files import in one direction, types included. */
export const layout: Check = {
  name: "layout of sources",
  run(workspace) {
    const packs = workspace.packages.filter((pack) => pack.group === "packages");
    const files = packs.flatMap((pack) => pack.sources);
    return {
      saw: `${count(files.length, "file")} of ${count(packs.length, "package")}`,
      problems: [
        ...sawNothing(files.length, "source file"),
        ...packs.flatMap(({ sources }) => [
          ...folderProblems(sources),
          ...circles(sources),
          ...sources.flatMap(sizeProblems),
        ]),
      ],
    };
  },
};

function folderProblems(sources: readonly SourceFile[]): string[] {
  const sizes = new Map<string, number>();
  for (const { path } of sources) sizes.set(dirname(path), (sizes.get(dirname(path)) ?? 0) + 1);
  return [...sizes].flatMap(([folder, size]) =>
    size > MOST_FILES ? [`${folder}: ${size} files, at most ${MOST_FILES}: find the concept that wants a folder`] : [],
  );
}

function sizeProblems(file: SourceFile): string[] {
  const lines = file.tree.getLineStarts().length - 1;
  const problems = lines > MOST_LINES ? [`${file.path}: ${lines} lines, at most ${MOST_LINES}: split it`] : [];
  for (const statement of file.tree.statements) {
    if (!ts.isClassDeclaration(statement)) continue;
    const size = statement.getText(file.tree).split("\n").length;
    if (size > MOST_CLASS_LINES)
      problems.push(`${placeOf(file, statement)}: a class of ${size} lines, at most ${MOST_CLASS_LINES}`);
  }
  return problems;
}

/** Circles of files, each once, by the shortest path round from its first file. */
function circles(sources: readonly SourceFile[]): string[] {
  const targets = new Map(sources.map((file) => [file.path, targetsOf(file)]));
  const seen = new Set<string>();
  const problems: string[] = [];
  for (const start of [...targets.keys()].sort()) {
    if (seen.has(start)) continue;
    const way = wayBack(targets, start);
    if (way === undefined) continue;
    for (const path of way) seen.add(path);
    problems.push(`these files import one another: ${[...way, start].join(" -> ")}`);
  }
  return problems;
}

function targetsOf(file: SourceFile): string[] {
  return importsOf(file)
    .filter(({ specifier }) => specifier.startsWith("."))
    .map(({ specifier }) => join(dirname(file.path), specifier));
}

/** The files between one and itself, breadth first. */
function wayBack(targets: ReadonlyMap<string, readonly string[]>, start: string): string[] | undefined {
  const from = new Map<string, string>();
  const queue = [start];
  for (const path of queue)
    for (const next of targets.get(path) ?? []) {
      if (next === start) return traced(from, start, path);
      if (from.has(next) || !targets.has(next)) continue;
      from.set(next, path);
      queue.push(next); // the loop visits what is added meanwhile
    }
  return undefined;
}

function traced(from: ReadonlyMap<string, string>, start: string, last: string): string[] {
  const way: string[] = [];
  for (let path: string | undefined = last; path !== undefined && path !== start; path = from.get(path))
    way.unshift(path);
  return [start, ...way];
}
