import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";

/** Compiled test files of a package below `.test/test`; packages of plain JavaScript have them in `test`. */
export function testFiles(directory, parts = []) {
  const compiled = join(directory, ".test/test");
  const root = existsSync(compiled) ? compiled : join(directory, "test");
  if (!existsSync(root)) return [];
  const all = readdirSync(root, { recursive: true })
    .map((name) => relative(directory, join(root, String(name))))
    .filter((name) => /\.test\.m?js$/.test(name))
    .sort();
  return parts.length === 0 ? all : all.filter((name) => parts.some((part) => name.includes(part)));
}

/** No more than so many files share a process, so that the cores of a machine end at about the same time. */
const TOGETHER = 8;

/**
 * Which files share a process. A file below `integration` has one of its own, and one whose name ends in
 * `.alone.test.*`: it changes its process, or measures it.
 */
export function processesOf(files) {
  const [alone, shared] = [[], []];
  for (const file of files) (/[\\/]integration[\\/]|\.alone\.test\.m?js$/.test(file) ? alone : shared).push(file);
  const size = Math.ceil(shared.length / Math.ceil(shared.length / TOGETHER));
  const groups = [];
  while (shared.length > 0) groups.push(shared.splice(0, size));
  return [...groups, ...alone.map((file) => [file])];
}
