import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

/** The package's own folder. */
export const home: string = join(import.meta.dirname, "../..");

/** The repository. */
export const root: string = join(home, "../..");

/** A Node to measure on. */
export interface NodeBinary {
  readonly major: number;
  readonly version: string;
  readonly path: string;
}

/** Runs a program to its end and gives its standard output. Its failure carries what it said. */
export function output(command: string, args: readonly string[], cwd: string = home): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command} ${args.join(" ")} failed: ${`${stdout}\n${stderr}`.trim().slice(-2_000)}`));
    });
  });
}

/** Runs one of our modules as a process of its own, with `flags` of Node, and gives the JSON that it printed last. */
export async function measureIn(
  node: NodeBinary,
  module: string,
  args: readonly string[],
  flags: readonly string[] = [],
): Promise<unknown> {
  const script = join(home, "dist", module);
  const text = await output(node.path, ["--expose-gc", "--no-warnings", ...flags, script, ...args]);
  return JSON.parse(text.trim().split("\n").at(-1) ?? "null");
}

/** The Node that runs this. */
export function ownNode(): NodeBinary {
  return { major: Number(process.versions.node.split(".")[0]), version: process.version, path: process.execPath };
}

/** A Node of another major version, from the npm package of that name; kept in `.ci/node-<major>`. Linux only. */
export async function nodeOf(major: number): Promise<NodeBinary> {
  const own = ownNode();
  if (own.major === major) return own;
  const folder = join(root, `.ci/node-${major}`);
  const path = join(folder, `node_modules/node${major}/bin/node`);
  if (!existsSync(path)) {
    const alias = `node${major}@npm:node-${process.platform}-${process.arch}@${major}`;
    await output("npm", [
      "install",
      "--silent",
      "--no-audit",
      "--no-fund",
      "--ignore-scripts",
      "--prefix",
      folder,
      alias,
    ]);
  }
  return { major, version: (await output(path, ["--version"])).trim(), path };
}
