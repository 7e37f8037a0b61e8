import {
  assertShape,
  func,
  required,
  shape,
  withMethods,
  type Manager,
  type ManagerContext,
  type Shape,
} from "@steward/core/driver";
import { lifeCases } from "./contract-life.ts";
import { stopCases } from "./contract-stop.ts";
import { truthCases } from "./contract-truth.ts";
import { Examination } from "./examination.ts";
import type { FaultProxy } from "./proxy.ts";

/** What a contract suite needs of a test runner: `test` of tap, node:test, or any other. */
export interface ContractRunner {
  /** Declares one case. */
  readonly test: (name: string, fn: () => Promise<void>) => unknown;
  /** `node:assert/strict`, or anything with these two. */
  readonly assert: ContractAssert;
}

/** The two checks a contract suite makes. */
export interface ContractAssert {
  ok(value: unknown, message?: string): void;
  strictEqual(actual: unknown, expected: unknown, message?: string): void;
}

/** How a suite gets at the manager it examines. */
export interface ContractFactory<M extends Manager<unknown> = Manager<unknown>> {
  /** Makes a fresh manager that was never started. Its name and timeouts come from the suite. */
  readonly create: (context: ManagerContext) => M | Promise<M>;
  /**
   * Makes one successful call through the manager's client. With it the suite also examines that calls are refused
   * while the manager is not ready, and that the counts of its stats add up.
   */
  readonly use?: ((manager: M) => Promise<unknown>) | undefined;
  /**
   * Calls each of the client's own ways to end it, such as `close()`. With it the suite also examines that all of them
   * are refused with the same words, for the client is shared.
   */
  readonly ends?: ((manager: M) => readonly (() => unknown)[]) | undefined;
  /**
   * The way to the remote. With it the suite also examines that a probe tells the truth when the remote is silent,
   * gone and back.
   */
  readonly proxy?: FaultProxy | undefined;
}

const factoryShape: Shape<ContractFactory> = shape<ContractFactory>(() => ({
  create: required(func()),
  use: func(),
  ends: func(),
  proxy: withMethods("a fault proxy", "stop"),
}));

/** One case of a contract suite. @internal */
export interface ContractCase {
  readonly name: string;
  /** What the factory must give for this case to make sense. */
  readonly needs?: "use" | "proxy" | "ends";
  readonly run: (examine: Examination) => Promise<void>;
}

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
