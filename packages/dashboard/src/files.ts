import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/** The files of the page: nothing else of the folder is served. */
const NAMES: ReadonlySet<string> = new Set([
  "index.html",
  "style.css",
  "favicon.svg",
  "main.js",
  "state.js",
  "dom.js",
  "look.js",
  "layout.js",
  "chart.js",
  "critical.js",
  "graph.js",
  "journal.js",
  "live.js",
  "process.js",
  "replicas.js",
  "resource.js",
  "runs.js",
  "start.js",
  "table.js",
  "timeline.js",
]);

/** A file of the page. */
export interface PageFile {
  readonly type: string;
  readonly etag: string;
  readonly plain: Buffer;
  readonly zipped: Buffer;
}

const compress = promisify(gzip);
const files = new Map<string, Promise<PageFile>>();

/** A file of the page, read once in the life of the process; `undefined` where the page has none of this name. */
export function pageFile(name: string): Promise<PageFile> | undefined {
  if (!NAMES.has(name)) return undefined;
  let file = files.get(name);
  if (file === undefined) {
    file = read(name);
    files.set(name, file);
    file.catch(() => files.delete(name)); // the next request tries again
  }
  return file;
}

async function read(name: string): Promise<PageFile> {
  // By the name of the package: the files lie beside its code, and are not part of it.
  const own = createRequire(import.meta.url).resolve("@steward/dashboard/package.json");
  const plain = await readFile(join(dirname(own), "page", name));
  const etag = `"${createHash("sha256").update(plain).digest("base64url").slice(0, 22)}"`;
  const type = TYPES[name.replace(/^.*\./, "")] ?? "application/octet-stream";
  return { type, etag, plain, zipped: await compress(plain) };
}
