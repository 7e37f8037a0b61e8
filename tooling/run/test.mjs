import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "./child.mjs";
import { benches, ensureInstalled } from "./install.mjs";
import { explain } from "./problem.mjs";
import { turboRecorded } from "./turbo.mjs";
import { packages, readJson, root } from "./workspace.mjs";

const builds = ["build", "build:test"];
const everything = [...builds, "types", "readme", "lint", "format:check", "checks"];

const flags = ["--suites", "--benches", "--build"];

/**
 * Runs every check and test (`--suites`: only the tests; `--benches`: those of the benches too), prints what failed and,
 * last, `N passed, N failed`. With `--build` only what needs no server: what it did is not done again.
 */
export async function main(args) {
  const unknown = args.filter((a) => !flags.includes(a));
  if (unknown.length > 0) explain(`test takes ${flags.join(", ")}, not "${unknown.join(" ")}"`);
  const withBenches = args.includes("--benches");
  await ensureInstalled(withBenches ? "all" : "tests");
  const filters = withBenches ? [] : [`--filter=!${benches}`];
  if (args.includes("--build")) {
    const needNoServer = everything.filter((task) => task !== "readme");
    return (await turboRecorded([...needNoServer, ...filters])).code;
  }
  const tested = packages().filter((p) => p.manifest.scripts?.test && (withBenches || p.name !== benches));
  for (const { directory } of tested) rmSync(resultFile(directory), { force: true });
  const onlySuites = args.includes("--suites");
  // Past turbo, where nothing is remembered from an earlier run: it ends one package before it begins the next.
  const inOneQueue = onlySuites || process.env.CI !== undefined;
  const wanted = [...(onlySuites ? builds : everything), ...(inOneQueue ? [] : ["test"])];
  const { code, tasks } = await turboRecorded([...wanted, ...filters]);
  if (inOneQueue)
    await run(process.execPath, [join(root, "tooling/tap/run-all.mjs"), ...tested.map(({ directory }) => directory)]);
  const total = summary(
    tested.map((p) => ({ name: p.name, ...resultOf(p.directory) })),
    tasks,
    code,
  );
  for (const line of total.lines) console.log(line);
  return total.failed === 0 ? 0 : 1;
}

function resultFile(directory) {
  return join(directory, ".results/suite.json");
}

function resultOf(directory) {
  const file = resultFile(directory);
  return existsSync(file) ? readJson(file) : {};
}

/** Adds up suites and tasks. A suite without a result, or from another Node version, counts as a failure. */
export function summary(results, tasks, code, node = process.version) {
  const lines = [""];
  let [passed, failed] = [0, 0];
  for (const { name, passed: ok = 0, failed: bad = 0, skipped = 0, node: ranOn } of results) {
    const ran = ranOn === node;
    const state = ran ? `${ok} passed, ${bad} failed` : "FAILED: it did not run on this Node";
    lines.push(`${name} on Node ${ranOn ?? node}: ${state}${skipped > 0 ? `, ${skipped} skipped` : ""}`);
    passed += ran ? ok : 0;
    failed += ran ? bad : 1;
  }
  const broken = tasks.filter((t) => !t.taskId.endsWith("#test") && (t.execution?.exitCode ?? 0) !== 0);
  for (const { taskId } of broken) lines.push(`FAILED: ${taskId.replace("//#", "")}`);
  failed += broken.length;
  // Turbo itself can fail (a bad turbo.json, a signal) without any task to blame.
  if (code !== 0 && failed === 0) {
    lines.push(`FAILED: turbo ended with exit code ${code}`);
    failed = 1;
  }
  lines.push(`${passed} passed, ${failed} failed`);
  return { passed, failed, lines };
}
