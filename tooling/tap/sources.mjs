// Names places in compiled files by their sources. Node could do so itself (--enable-source-maps), but would read the
// map of every module that it loads, 0.1 CPU seconds a file, for the few stacks that somebody sees.
import { readFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const maps = new Map();

/** The same text with every `folder/file.js:line:column` that has a source map named as its source. */
export function inSources(text, directory = process.cwd()) {
  return text.replace(/((?:file:\/\/)?[^\s()"':]+\.js):(\d+):(\d+)/g, (place, file, line, column) => {
    const path = file.startsWith("file:") ? fileURLToPath(file) : resolve(directory, file);
    const { originalSource, originalLine, originalColumn } = mapOf(path)?.findEntry(line - 1, column - 1) ?? {};
    if (originalSource === undefined) return place;
    return `${relative(directory, resolve(dirname(path), originalSource))}:${originalLine + 1}:${originalColumn + 1}`;
  });
}

function mapOf(path) {
  if (!maps.has(path)) maps.set(path, read(path));
  return maps.get(path);
}

function read(path) {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${path}.map`, "utf8")));
  } catch {
    return undefined;
  }
}
