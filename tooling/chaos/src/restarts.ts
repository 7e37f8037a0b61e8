import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { root, type Row, row } from "@steward/harness";

/** The tests of the container that restart resources at random; they read the number of their seeds from `STEWARD_SEEDS`. */
const TESTS = ["restart-fuzz", "restart-fuzz-graphs"];

const container = join(root, "packages/container");

/** Compiles the restart fuzz of the container, and runs it with so many seeds. */
export async function restarts(seeds: number): Promise<Row[]> {
  const compiled = await ran([join(root, "tooling/run/compile.mjs"), "tsconfig.test.json"], seeds);
  if (compiled.code !== 0) throw new Error("the tests of the container do not compile");
  return fuzz(seeds);
}

/** Runs what is compiled. A run that says of no seed that it passed has failed, whatever it exits with. */
export async function fuzz(seeds: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const test of TESTS) {
    const since = performance.now();
    const { code, output } = await ran([join(container, ".test/test", `${test}.test.js`)], seeds);
    const seconds = Math.round((performance.now() - since) / 1_000);
    const passed = code === 0 ? Number(/\b(\d+) seeds\b/.exec(output)?.[1] ?? 0) : 0;
    const work = `${test}, ${seeds} seeds in ${seconds} s: passed`;
    rows.push(row({ area: "restarts", work, unit: "seeds", ours: passed, bar: `= ${seeds}` }));
  }
  return rows;
}

/** What a program printed, which is shown meanwhile, and what it exited with. */
async function ran(args: readonly string[], seeds: number): Promise<{ code: unknown; output: string }> {
  const child = spawn(process.execPath, args, {
    cwd: container,
    env: { ...process.env, STEWARD_SEEDS: String(seeds), TAP_TIMEOUT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    process.stderr.write(text);
  });
  const [code] = await once(child, "close");
  return { code, output };
}
