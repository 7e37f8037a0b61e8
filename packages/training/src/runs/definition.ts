import { defineDriver, type DriverFactory } from "@steward/core/driver";
import { RunLogManager } from "./manager.ts";
import { runLogSchema, type RunLogOptions } from "./options.ts";
import type { RunLog } from "./run-log.ts";

/**
 * Defines where trainings write what they do.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong literal option.
 *
 * @example
 * ```ts
 * import { container } from "@steward/container";
 * import { mkdtemp } from "node:fs/promises";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { runLog } from "@steward/training";
 * const runs = runLog("runs", { folder: await mkdtemp(join(tmpdir(), "runs-")) });
 * await using running = await container([runs]).start();
 * await using run = await running.get(runs).start({ id: "first" });
 * console.log(await running.get(runs).list()); // => [ 'first' ]
 * ```
 */
export const runLog: DriverFactory<RunLogOptions, RunLog> = /* @__PURE__ */ defineDriver<RunLogOptions, RunLog>({
  kind: "run log",
  schema: runLogSchema,
  create: (options, context) => new RunLogManager(options, context),
});
