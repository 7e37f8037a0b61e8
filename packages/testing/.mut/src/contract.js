import { lifeCases } from "./contract-life.js";
import { stopCases } from "./contract-stop.js";
import { truthCases } from "./contract-truth.js";
import { Examination } from "./examination.js";
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
 * import { Manager } from "@steward/core";
 * import { resourceContract } from "@steward/testing";
 * class Nothing extends Manager<object> {
 *   readonly client = {};
 *   protected open(): void {}
 *   protected ping(): void {}
 *   protected close(): void {}
 * }
 * const names: string[] = [];
 * resourceContract({ test: (name) => names.push(name), assert }, { create: (context) => new Nothing("nothing", context) });
 * console.log(names.includes("stops once, however many ask")); // => true
 * ```
 */
export function resourceContract(runner, factory) {
    // A manager that `create` made is the only one that `use` is ever given.
    const plain = factory;
    for (const { name, needs, run } of [...lifeCases, ...stopCases, ...truthCases]) {
        if (needs !== undefined && factory[needs] === undefined)
            continue;
        runner.test(name, () => new Examination(runner.assert, plain).run(run));
    }
}
//# sourceMappingURL=contract.js.map