import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const preload = join(import.meta.dirname, "preload.mjs");

/** Runs one test file; `ok`, and how long it took. A run over its limit is ended. */
function run(directory, file, env, limitMs) {
  const began = performance.now();
  const given = { ...process.env, TAP_BAIL: "1", TAP_TIMEOUT: "600", ...env };
  const options = { cwd: directory, env: given, stdio: "ignore", detached: true };
  const child = spawn(process.execPath, [`--import=${preload}`, file], options);
  return new Promise((resolve) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      process.kill(-child.pid, "SIGKILL");
    }, limitMs);
    child.on("exit", (code) => {
      clearTimeout(timer);
      resolve({ ok: code === 0, late, ms: performance.now() - began });
    });
  });
}

/** Runs a test file without a mutant; which mutants it meets, and how long it took. */
export async function measure(directory, file) {
  const place = mkdtempSync(join(tmpdir(), "steward-mutate-"));
  const output = join(place, "met.json");
  try {
    const { ok, ms } = await run(directory, file, { STEWARD_MUTANTS_MET: output }, 300_000);
    return { file, ok, ms, met: ok ? new Set(JSON.parse(readFileSync(output, "utf8"))) : new Set() };
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** What became of a mutant: "killed", "timeout", "survived", or "unreached" where no test meets it. */
export async function verdictOn(id, directory, measured) {
  const meeting = measured.filter(({ met }) => met.has(id)).sort((a, b) => a.ms - b.ms);
  if (meeting.length === 0) return "unreached";
  for (const { file, ms } of meeting) {
    const { ok, late } = await run(directory, file, { STEWARD_MUTANT: String(id) }, ms * 5 + 5_000);
    if (!ok) return late ? "timeout" : "killed";
  }
  return "survived";
}
