import { join } from "node:path";
import { RunLogManager, TrainerManager } from "../../../src/index.ts";
import { rowsOf } from "../../line.ts";

const [folder = ""] = process.argv.slice(2);
const id = "killed";

/** Trains, and goes on where an earlier process was killed. It prints each step, so that a test knows when to kill it. */
await using log = await new RunLogManager({ folder }).start();
await using trainer = await new TrainerManager({
  module: new URL("./line-net.js", import.meta.url),
  workers: 2,
}).start();

const isNew = !(await log.client.list()).includes(id);
let run = isNew ? await log.client.start({ id, seed: 7 }) : undefined;
await trainer.client.fit(rowsOf(64), {
  epochs: 30,
  batchRows: 16,
  seed: 7,
  checkpoint: { folder: join(folder, "checkpoints"), everySteps: 5 },
  onBegin: async ({ step }) => {
    run ??= await log.client.resume(id, step);
  },
  onStep: async (step, metrics) => {
    await run?.step(step, metrics);
    process.stdout.write(`${step}\n`);
  },
});
await run?.finish();
