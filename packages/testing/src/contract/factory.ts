import {
  func,
  required,
  shape,
  wholeNumber,
  withMethods,
  type Manager,
  type ManagerContext,
  type Shape,
} from "@steward/core/driver";
import type { FaultProxy } from "../proxy/proxy.ts";

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
   * How many calls the manager makes at once, where further ones wait for their turn. With it and `use` the suite also
   * examines that a call which waits when a stop begins is refused like one that comes then. Keep it small.
   */
  readonly places?: number | undefined;
  /**
   * Calls each of the client's own ways to end it, such as `close()`. With it the suite also examines that all of them
   * are refused with the same words, for the client is shared.
   */
  readonly ends?: ((manager: M) => readonly (() => unknown)[]) | undefined;
  /**
   * The way to the remote. With it the suite also examines that a probe is right when the remote is silent,
   * gone and back.
   */
  readonly proxy?: FaultProxy | undefined;
}

/** What a factory must be. */
export const factoryShape: Shape<ContractFactory> = shape<ContractFactory>(() => ({
  create: required(func()),
  use: func(),
  places: wholeNumber(1),
  ends: func(),
  proxy: withMethods("a fault proxy", "stop"),
}));
