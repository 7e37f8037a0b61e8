import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { root, type Row, row } from "@steward/harness";

/** The test of the container that restarts resources at random; it reads the number of its seeds from `STEWARD_SEEDS`. */
const TEST = "restart-fuzz";

/** How many it has in a whole run of the tests. */
const USUAL_SEEDS = 50;

/** Runs the restart fuzz of the container with so many seeds. */
export async function restarts(seeds: number): Promise<Row[]> {
  const since = performance.now();
  const child = spawn(process.execPath, [join(root, "tooling/run/steward.mjs"), "dev", "container", "--", TEST], {
    cwd: root,
    env: { ...process.env, STEWARD_SEEDS: String(seeds), STEWARD_EFFORT: String(Math.max(1, seeds / USUAL_SEEDS)) }, // effort: it may take longer
    stdio: "inherit",
  });
  const [code] = await once(child, "exit");
  const seconds = Math.round((performance.now() - since) / 1_000);
  const area = "restarts";
  return [
    row({ area, work: `${seeds} seeds in ${seconds} s: failed`, unit: "runs", ours: code === 0 ? 0 : 1, bar: "= 0" }),
  ];
}
