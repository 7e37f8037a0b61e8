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
