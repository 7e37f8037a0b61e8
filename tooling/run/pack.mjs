import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./child.mjs";
import { ensureInstalled } from "./install.mjs";
import { explain } from "./problem.mjs";
import { build } from "./turbo.mjs";
import { packages, readJson, root } from "./workspace.mjs";

/** Where the tarballs are, which git ignores. */
export const packedFolder = join(root, ".packed");

const budgets = join(root, "tooling/run/sizes.json");
/** How much a package may grow before somebody has to say so, as a share. */
const MAY_GROW = 0.1;

/** Packs every package as it is published, and compares its size with its budget (`--update` writes new budgets). */
export async function main(args) {
  const unknown = args.filter((arg) => arg !== "--update");
  if (unknown.length > 0) explain(`pack takes --update, not "${unknown.join(" ")}"`);
  await ensureInstalled("tests");
  const packed = await pack();
  const known = existsSync(budgets) ? readJson(budgets) : {};
  const { lines, problems } = sizeReport(packed, known);
  for (const line of lines) console.log(line);
  if (args.includes("--update")) {
    const sizes = Object.fromEntries(packed.map(({ name, unpackedBytes }) => [name, unpackedBytes]));
    writeFileSync(budgets, `${JSON.stringify(sizes, undefined, 2)}\n`);
    return 0;
  }
  for (const problem of problems) console.error(problem);
  return problems.length === 0 ? 0 : 1;
}

/** Builds and packs everything, and says where each tarball is and how large. */
export async function pack(folder = packedFolder) {
  // A build that is replayed from the cache leaves files of the one before, which would be packed too.
  for (const { directory } of libraries()) rmSync(join(directory, "dist"), { recursive: true, force: true });
  if ((await build(["./packages/*"])) !== 0) explain("what does not build cannot be packed");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const filter = ["--recursive", "--filter", "./packages/*"];
  const { code, output } = await run("pnpm", [...filter, "pack", "--pack-destination", folder], { quiet: true });
  if (code !== 0) explain(`packing failed:\n${output}`);
  const files = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  return libraries().map(({ name, manifest }) => {
    const file = `${name.replace(/^@/, "").replace("/", "-")}-${manifest.version}.tgz`;
    if (!files.includes(file)) explain(`${name} was not packed`);
    return { name, file: join(folder, file), manifest, ...sizesOf(join(folder, file)) };
  });
}

/** The packages that users install. */
function libraries() {
  return packages().filter(({ directory, manifest }) => directory.includes("/packages/") && manifest.private !== true);
}

function sizesOf(file) {
  const listed = execFileSync("tar", ["-tvzf", file], { encoding: "utf8" }).trim().split("\n");
  const unpackedBytes = listed.reduce((sum, line) => sum + Number(line.trim().split(/\s+/)[2]), 0);
  return { packedBytes: statSync(file).size, unpackedBytes, files: listed.length };
}

/** A table of sizes, and what has outgrown its budget or has none. */
export function sizeReport(packed, known) {
  const kb = (bytes) => `${(bytes / 1_000).toFixed(0)} KB`.padStart(10);
  const lines = packed.map(
    ({ name, packedBytes, unpackedBytes, files }) =>
      `${name.padEnd(24)}${kb(packedBytes)} packed${kb(unpackedBytes)} unpacked ${String(files).padStart(5)} files`,
  );
  const problems = packed.flatMap(({ name, unpackedBytes }) => {
    const budget = known[name];
    if (budget === undefined) return [`${name} has no budget of size: npm run pack -- --update`];
    if (unpackedBytes <= budget * (1 + MAY_GROW)) return [];
    return [
      `${name} has grown from${kb(budget)} to${kb(unpackedBytes)}, by more than ${MAY_GROW * 100} %: npm run pack -- --update, if it has to`,
    ];
  });
  return { lines, problems };
}
