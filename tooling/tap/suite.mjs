import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { failuresOf, readTap } from "./tap-lines.mjs";

/** Compiled test files below `.test/test`, type fixtures excluded. */
export function testFiles(directory, filters = []) {
  // JavaScript packages of the tooling have nothing to compile.
  const compiled = join(directory, ".test/test");
  const root = existsSync(compiled) ? compiled : join(directory, "test");
  if (!existsSync(root)) return [];
  const all = readdirSync(root, { recursive: true })
    .map((name) => relative(directory, join(root, String(name))))
    .filter((name) => /\.test\.m?js$/.test(name))
    .sort();
  return filters.length === 0 ? all : all.filter((name) => filters.some((f) => name.includes(f)));
}

/** Runs one package's suite; writes `.results/suite.json`; returns the exit code. */
export async function run(directory, filters) {
  const { name } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
  const files = testFiles(directory, filters);
  if (files.length === 0) {
    const fine = isStub(directory);
    if (!fine) console.error(`${name} has no test file`);
    return finish(directory, { name, passed: 0, failed: fine ? 0 : 1, skipped: 0 }, fine ? 0 : 1);
  }
  const { code, text } = await runTap(directory, files);
  const counts = readTap(text);
  for (const failure of failuresOf(text)) console.error(failure);
  // A crash of tap itself leaves no failing case behind; it must not look like success.
  if (code !== 0 && counts.failed === 0) {
    console.error(text.split("\n").slice(-60).join("\n"));
    counts.failed = 1;
  }
  return finish(directory, { name, ...counts }, code);
}

/** A package whose entry exports and imports nothing yet. */
function isStub(directory) {
  const entry = ["src/index.ts", "src/main.ts"].map((f) => join(directory, f)).find((f) => existsSync(f));
  return entry !== undefined && !/\bfrom\b/.test(readFileSync(entry, "utf8"));
}

function runTap(directory, files) {
  const tap = join(directory, "node_modules/.bin/tap");
  const env = { ...process.env, TS_NODE_COMPILER: "typescript-js" };
  const child = spawn(tap, ["run", "--reporter=tap", ...files], {
    cwd: directory,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk) => (text += chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? 1, text }));
  });
}

function finish(directory, suite, code) {
  const result = { ...suite, node: process.version };
  mkdirSync(join(directory, ".results"), { recursive: true });
  writeFileSync(join(directory, ".results/suite.json"), `${JSON.stringify(result)}\n`);
  const skipped = result.skipped > 0 ? `, ${result.skipped} skipped` : "";
  console.log(`${result.name} on Node ${process.version}: ${result.passed} passed, ${result.failed} failed${skipped}`);
  return code;
}
