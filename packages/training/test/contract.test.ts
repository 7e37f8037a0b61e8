import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ManagerContext } from "@steward/core/driver";
import { specOf } from "@steward/core/container";
import { resourceContract } from "@steward/testing";
import t from "tap";
import { dataParallelTrainer, RunLogManager, TrainerManager } from "../src/index.ts";
import { testTrainer } from "../src/testing.ts";

const folder = await mkdtemp(join(tmpdir(), "steward-training-"));
const test = (name: string, fn: () => Promise<void>): void => void t.test(name, fn);
const module = new URL(import.meta.url);

t.test("of a trainer", (t) => {
  const test = (name: string, fn: () => Promise<void>): void => void t.test(name, fn);
  resourceContract({ test, assert }, { create: (context: ManagerContext) => new TrainerManager({ module }, context) });
  t.end();
});

resourceContract({ test, assert }, { create: (context: ManagerContext) => new RunLogManager({ folder }, context) });

t.test("a trainer for tests that stands for another has its workers", (t) => {
  const fit = dataParallelTrainer("fit", { module, workers: 3, workerStartTimeoutMs: 5 });
  const { managed, name } = specOf(testTrainer.definition(fit));
  t.equal(name, "fit");
  t.same(managed?.prepare({}), { workers: 3 });
  t.end();
});
