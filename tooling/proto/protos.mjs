import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve, sep } from "node:path";

const require = createRequire(import.meta.url);
export const root = resolve(import.meta.dirname, "../..");

const generator = join(
  dirname(require.resolve("@grpc/proto-loader/package.json")),
  "build/bin/proto-loader-gen-types.js",
);
const buf = join(dirname(require.resolve("@bufbuild/buf/package.json")), "bin/buf");
// What `loadProto` of @steward/grpc reads by default.
const forms = ["--longs=String", "--enums=String", "--defaults", "--oneofs"];
const names = ["--grpcLib=@grpc/grpc-js", "--targetFileExtension=.ts", "--importFileExtension=.ts"];

/**
 * Every .proto file of the repository with generated types: `{ file, folder, generated }`. `file` is relative to `folder`,
 * from where it is imported: the nearest folder named proto, else its own. Beside a folder proto is a folder generated,
 * else in it. A file without one is read with the names of its fields as they are, and its messages are typed by hand.
 */
export function protos(top = root) {
  return ["packages", "apps"]
    .flatMap((group) => filesBelow(join(top, group)))
    .map(placed)
    .filter(({ generated }) => existsSync(generated));
}

function placed(path) {
  const parts = path.split(sep);
  const at = parts.lastIndexOf("proto");
  const folder = at < 0 ? dirname(path) : parts.slice(0, at + 1).join(sep);
  const generated = join(at < 0 ? folder : dirname(folder), "generated");
  return { file: relative(folder, path), folder, generated };
}

function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return /^(\.|node_modules$|dist$)/.test(entry.name) ? [] : filesBelow(path);
    return entry.name.endsWith(".proto") ? [path] : [];
  });
}

/** Writes the TypeScript of a .proto file into a folder. */
export function write({ file, folder }, into) {
  const { status, stderr } = spawnSync(process.execPath, [generator, ...forms, ...names, "-I", ".", "-O", into, file], {
    cwd: folder,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${file} has no types: ${stderr}`);
}

/** What differs between two folders: names of files that only one of them has, or that are not the same. */
export function differences(one, other) {
  const all = new Set([one, other].flatMap(namesIn));
  return [...all].sort().filter((name) => textOf(one, name) !== textOf(other, name));
}

function namesIn(folder) {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)));
}

function textOf(folder, name) {
  const path = join(folder, name);
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

/** Runs a command of buf; `output` is what it complains of. */
export function runBuf(...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [buf, ...args], { encoding: "utf8" });
  return { status, output: `${stdout}${stderr}` };
}
