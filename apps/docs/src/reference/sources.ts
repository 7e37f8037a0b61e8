import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript-js";
import { ROOT, filesBelow } from "../places.ts";

/** The packages that users install, by the names of their folders. */
export function packageNames(): string[] {
  return readdirSync(join(ROOT, "packages"))
    .filter((name) => existsSync(join(ROOT, "packages", name, "package.json")))
    .sort();
}

/** A text of the repository, or `undefined`. */
export function textOf(...path: readonly string[]): string | undefined {
  const file = join(ROOT, ...path);
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

/** The syntax trees of a package's sources. */
export function treesOf(name: string): ts.SourceFile[] {
  const folder = join(ROOT, "packages", name, "src");
  return filesBelow(folder, ".ts").map((file) =>
    ts.createSourceFile(file, readFileSync(join(folder, file), "utf8"), ts.ScriptTarget.Latest, true),
  );
}

/** The words of a docstring, in one line. */
export function wordsOf(node: ts.Node): string {
  const [doc] = ts.getJSDocCommentsAndTags(node);
  const text = doc === undefined || !ts.isJSDoc(doc) ? "" : (ts.getTextOfJSDocComment(doc.comment) ?? "");
  return text
    .replaceAll(/\{@link (\w+)[^}]*\}/g, "`$1`")
    .replaceAll(/\s+/g, " ")
    .trim();
}

/** The section of a README below a heading of the second rank, or `undefined`. */
export function sectionOf(readme: string, heading: RegExp): string | undefined {
  const parts = readme.split(/^(?=## )/m);
  return parts.find((part) => heading.test(part.split("\n", 1)[0] ?? ""))?.replace(/^.*\n/, "");
}

/** The rows of the Markdown tables in a text, without their heads. */
export function rowsOf(text: string): string[][] {
  const lines = text.split("\n");
  return lines
    .filter((line, i) => line.startsWith("|") && !isRule(line) && !isRule(lines[i + 1] ?? ""))
    .map((line) => cellsOf(line));
}

function isRule(line: string): boolean {
  return /^\|[\s|:-]+\|$/.test(line);
}

function cellsOf(line: string): string[] {
  return line
    .replace(/^\|/, "")
    .replace(/\|\s*$/, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
}

/** Text for a cell of a table. */
export function cell(text: string): string {
  return text.replaceAll(/(?<!\\)\|/g, String.raw`\|`).replaceAll("\n", " ");
}
