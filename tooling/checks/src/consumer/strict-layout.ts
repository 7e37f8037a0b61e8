import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Manifest } from "../workspace.ts";

/**
 * Lays out `node_modules` below `target` as pnpm does for a user of the packed packages: each package sees its
 * own dependencies and nothing else. No registry is asked: third-party packages are linked to the installed ones.
 */
export function layOut(consumer: string, target: string): string[] {
  const packed = new Map<string, string>();
  const { dependencies = {}, devDependencies = {} } = readManifest(consumer);
  for (const name of Object.keys({ ...dependencies, ...devDependencies })) {
    link(join(target, "node_modules"), name, place(consumer, name, target, packed));
  }
  return [...packed.keys()];
}

/** The folder that `name`, as `owner` sees it, has below `target`. */
function place(owner: string, name: string, target: string, packed: Map<string, string>): string {
  const source = realpathSync(join(owner, "node_modules", name));
  if (!name.startsWith("@steward/")) return source;
  const known = packed.get(name);
  if (known !== undefined) return known;
  const modules = join(target, "node_modules/.pnpm", name.replace("/", "+"), "node_modules");
  const folder = join(modules, name);
  packed.set(name, folder);
  unpack(source, folder, target);
  const { dependencies = {}, peerDependencies = {} } = readManifest(source);
  for (const need of Object.keys({ ...dependencies, ...peerDependencies })) {
    link(modules, need, place(source, need, target, packed));
  }
  return folder;
}

/** Packs a package as it would be published, and unpacks it. */
function unpack(source: string, folder: string, target: string): void {
  const tarballs = mkdtempSync(join(target, "pack-"));
  const pnpm = join(source, "../../node_modules/.bin/pnpm");
  execFileSync(pnpm, ["pack", "--pack-destination", tarballs], { cwd: source, stdio: "pipe" });
  const [tarball] = readdirSync(tarballs);
  if (tarball === undefined) throw new Error(`pnpm pack made nothing in ${source}`);
  mkdirSync(folder, { recursive: true });
  execFileSync("tar", ["-xzf", join(tarballs, tarball), "--strip-components=1", "-C", folder], { cwd: target });
}

function link(modules: string, name: string, folder: string): void {
  const path = join(modules, name);
  mkdirSync(dirname(path), { recursive: true });
  if (!existsSync(path)) symlinkSync(folder, path);
}

export function readManifest(directory: string): Manifest {
  // What is missing in it shows up as a failed link or compile.
  return JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as Manifest;
}
