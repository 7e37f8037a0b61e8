import { assertShape, type Manager } from "@steward/core/driver";
import { Examination } from "./examination.ts";
import { factoryShape, type ContractFactory, type ContractRunner } from "./factory.ts";
import { lifeCases } from "./life.ts";
import { stopCases } from "./stop.ts";
import { truthCases } from "./truth.ts";

/**
 * Declares the cases that every manager must pass: start, drain and stop in every order, aborted, failing, hanging and
 * again; nothing left open; a truthful probe; counts that add up.
 *
 * The suite runs in real time, with timeouts of a few hundred ms where it waits for one. Nothing else should open
 * handles in the process meanwhile.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Manager } from "@steward/core/driver";
 * import { resourceContract } from "@steward/testing";
 * class Nothing extends Manager<object> {
 *   readonly client = {};
 *   protected onStart(): void {}
 *   protected onProbe(): void {}
 *   protected onStop(): void {}
 * }
 * const names: string[] = [];
 * resourceContract({ test: (name) => names.push(name), assert }, { create: (context) => new Nothing("nothing", context) });
 * console.log(names.includes("stops once, however many ask")); // => true
 * ```
 */
export function resourceContract<M extends Manager<unknown>>(
  runner: ContractRunner,
  factory: ContractFactory<M>,
): void {
  assertShape("resourceContract", factoryShape, factory);
  // A manager that `create` made is the only one that `use` is ever given.
  const plain = factory as unknown as ContractFactory;
  for (const { name, needs, run } of [...lifeCases, ...stopCases, ...truthCases]) {
    if (needs !== undefined && factory[needs] === undefined) continue;
    runner.test(name, () => new Examination(runner.assert, plain).run(run));
  }
}
