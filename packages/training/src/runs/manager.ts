import { access, constants, mkdir } from "node:fs/promises";
import type { MetricSample } from "@steward/core";
import { checkOptions, Manager, type ManagerContext } from "@steward/core/driver";
import { runLogSchema, type RunLogOptions } from "./options.ts";
import { RunLog } from "./run-log.ts";

/**
 * Looks after a run log: runs, steps and metrics as JSON lines that a kill leaves readable.
 *
 * @example
 * ```ts
 * import { mkdtemp } from "node:fs/promises";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { RunLogManager } from "@steward/training";
 * const folder = await mkdtemp(join(tmpdir(), "runs-"));
 * await using manager = await new RunLogManager({ folder }).start();
 * const run = await manager.client.start({ id: "scorer-1", seed: 7 });
 * await run.step(1, { loss: 0.5 });
 * await run.finish();
 * console.log((await manager.client.read("scorer-1")).status); // => finished
 * ```
 */
export class RunLogManager extends Manager<RunLog> {
  override readonly client: RunLog;
  readonly #folder: string;

  /** @throws {OPTIONS_INVALID} listing every option that is unknown or wrong. */
  constructor(options: RunLogOptions, context: ManagerContext = {}) {
    super("run log", context);
    const { folder } = checkOptions(this.name, runLogSchema, options);
    this.#folder = folder;
    this.client = new RunLog({ resource: this.name, folder, clock: this.clock, refusal: () => this.unavailable() });
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    return this.client.counts;
  }

  protected override get hasWorkToDrain(): boolean {
    return false;
  }

  protected override async onStart(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await access(this.#folder, constants.W_OK);
  }

  /** Whether files can still be made there. */
  protected override async onProbe(): Promise<void> {
    await access(this.#folder, constants.W_OK);
  }

  protected override async onStop(): Promise<void> {
    await this.client.leaveAll();
  }

  protected override *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    const { open, lines } = this.client.counts;
    yield { name: "steward.training.runs", kind: "gauge", unit: "{run}", attributes, value: open };
    yield { name: "steward.training.lines", kind: "counter", unit: "{line}", attributes, value: lines };
  }
}
