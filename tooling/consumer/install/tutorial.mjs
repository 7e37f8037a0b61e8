// The tutorial of the documentation, followed to the letter in an empty folder: each install line from packed tarballs,
// each file where its chapter puts it, each program run by tsx, which has to print what the chapter says.
//   node tutorial.mjs
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { programsOf } from "../../checks/dist/readme/programs.js";
import { startServers } from "../../checks/dist/readme/servers.js";
import { startRegistry } from "./registry.mjs";
import { run } from "./run.mjs";

const chapters = join(import.meta.dirname, "../../../apps/docs/pages/tutorial");
const folder = mkdtempSync(join(tmpdir(), "steward-tutorial-"));
const registry = await startRegistry();
process.chdir(join(chapters, "../..")); // the launchers are looked for from there
const servers = await startServers(new Set(["postgres", "redis"]));
let [ran, failed] = [0, 0];
try {
  writeFileSync(join(folder, ".npmrc"), `@steward:registry=${registry.url}\naudit=false\nfund=false\n`);
  const names = readdirSync(chapters).sort((a, b) => parseInt(a, 10) - parseInt(b, 10));
  for (const name of names) await follow(name, readFileSync(join(chapters, name), "utf8"));
  console.log(`tutorial on Node ${process.version}: ${names.length} chapters, ${ran} programs ran, ${failed} failed`);
} finally {
  await registry[Symbol.asyncDispose]();
  await servers[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failed === 0 ? 0 : 1;

async function follow(name, text) {
  for (const [, line] of text.matchAll(/^```sh\n([\s\S]*?)^```/gm)) await shell(line);
  const blocks = programsOf(text, name);
  for (const { file, code } of blocks) if (file !== undefined) writeFileSync(join(folder, file), code);
  for (const { at, code, prints } of blocks.filter((block) => block.runs)) {
    writeFileSync(join(folder, "try.ts"), code);
    const { ok, output } = await run("npx", ["tsx", "try.ts"], { cwd: folder, env: servers.env });
    const right = ok && output.trim() === prints.join("\n");
    ran++;
    if (!right) failed++;
    console.log(`${right ? "ok   " : "WRONG"} ${at}${right ? "" : `\n${output}`}`);
  }
}

async function shell(line) {
  const { ok, output } = await run("sh", ["-c", `set -e\n${line}`], { cwd: folder });
  if (!ok) throw new Error(`${line}: ${output}`);
}
