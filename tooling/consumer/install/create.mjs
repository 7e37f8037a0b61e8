// npm create steward, from packed tarballs, in an empty folder: what it makes installs, and passes its own tests.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRegistry } from "./registry.mjs";
import { run } from "./run.mjs";

const registry = await startRegistry();
const folder = mkdtempSync(join(tmpdir(), "steward-create-"));
const app = join(folder, "shop");
try {
  const tarball = registry.tarballs.get("create-steward");
  await step(["npx", "--yes", `--package=${tarball}`, "create-steward", "shop"], folder);
  writeFileSync(join(app, ".npmrc"), `@steward:registry=${registry.url}\n`);
  await step(["npm", "install", "--no-audit", "--no-fund"], app);
  await step(["npm", "test"], app);
  await step(["npm", "run", "doctor"], app);
  console.log(
    `npm create steward on Node ${process.version}: made, installed, tested, and its doctor finds nothing wrong`,
  );
} finally {
  await registry[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
}

async function step([command, ...args], cwd) {
  const since = performance.now();
  const { ok, code, output } = await run(command, args, { cwd });
  if (!ok) throw new Error(`${command} ${args.join(" ")} ended with ${code}:\n${output}`);
  console.log(`${((performance.now() - since) / 1_000).toFixed(1).padStart(6)} s  ${command} ${args.join(" ")}`);
}
