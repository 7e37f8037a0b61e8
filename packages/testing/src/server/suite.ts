import type { ContractRunner } from "../contract/factory.ts";
import type { ServerAdapter } from "./adapter.ts";
import { againCases } from "./again.ts";
import { answerCases } from "./answers.ts";
import { cacheCases } from "./cached.ts";
import { crowdCases } from "./crowds/crowds.ts";
import { endCases } from "./ends.ts";
import { securityCases } from "./security/schemes.ts";
import { sessionCases } from "./security/sessions.ts";
import { stopCases } from "./stops.ts";
import { streamCases } from "./streams.ts";
import { traceCases } from "./traces.ts";
import { upgradeCases } from "./upgrades.ts";
import { World } from "./world.ts";

/** What the suite needs of a test runner. */
export interface ServerRunner extends ContractRunner {
  /** Prints what each crowd has left. */
  readonly comment?: (text: string) => void;
}

/**
 * Declares the cases that every server must pass: needs are resolved, and what they hold is given back on every path;
 * a commit comes before the head of the answer; errors are problems; no one is let in whom a route forbids; it starts, drains and stops as it should; and
 * nothing is left of clients that go, take their time or send nonsense.
 *
 * The suite runs in real time, on real sockets. `STEWARD_EFFORT=25` in the environment makes its crowds a thousand.
 *
 * @example
 * ```ts no-run
 * import assert from "node:assert/strict";
 * import { test } from "node:test";
 * import { serverContract, type ServerAdapter } from "@steward/testing/server";
 * declare const adapter: ServerAdapter;
 * serverContract({ test, assert }, adapter);
 * ```
 */
export function serverContract(runner: ServerRunner, adapter: ServerAdapter): void {
  const { assert, comment = () => {} } = runner;
  for (const { name, run } of [
    ...answerCases,
    ...againCases,
    ...securityCases,
    ...sessionCases,
    ...cacheCases,
    ...endCases,
    ...streamCases,
    ...traceCases,
    ...upgradeCases,
    ...stopCases,
    ...crowdCases,
  ])
    runner.test(name, async () => {
      const world = new World(adapter, assert, comment);
      try {
        await run(world);
      } finally {
        await world.end();
      }
    });
}
