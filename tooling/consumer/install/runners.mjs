// The examples for Vitest, Jest and Prisma, from packed tarballs: copied to an empty folder, installed and run.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRegistry } from "./registry.mjs";
import { run } from "./run.mjs";

const root = join(import.meta.dirname, "../../..");
const registry = await startRegistry();
const work = mkdtempSync(join(tmpdir(), "steward-runners-"));
try {
  for (const name of process.argv.length > 2 ? process.argv.slice(2) : ["vitest", "jest", "prisma"]) {
    const folder = join(work, name);
    cpSync(join(root, "apps/examples", name), folder, { recursive: true });
    writeFileSync(join(folder, ".npmrc"), `@steward:registry=${registry.url}\n`);
    // Prisma would download an engine that it does not use.
    const scripts = name === "prisma" ? ["--ignore-scripts"] : [];
    for (const args of [["install", "--no-audit", "--no-fund", ...scripts], ["test"]]) {
      const { ok, code, output } = await run("npm", args, { cwd: folder });
      if (!ok) throw new Error(`${name}: npm ${args.join(" ")} ended with ${code}:\n${output}`);
    }
    console.log(`${name}: its tests pass on Node ${process.version}`);
  }
} finally {
  await registry[Symbol.asyncDispose]();
  rmSync(work, { recursive: true, force: true });
}
