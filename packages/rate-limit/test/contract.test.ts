import assert from "node:assert/strict";
import type { ManagerContext } from "@steward/core/driver";
import { FakeClock, resourceContract } from "@steward/testing";
import t from "tap";
import { RateLimiterManager } from "../src/index.ts";
import { CONTRACT_POLICIES, rateLimiterContract } from "../src/testing.ts";

const policies = CONTRACT_POLICIES;

resourceContract(
  { test: (name, fn) => void t.test(name, fn), assert },
  { create: (context: ManagerContext) => new RateLimiterManager({ policies }, context) },
);

rateLimiterContract({ test: (name, fn) => void t.test(name, fn), assert }, async () => {
  const clock = new FakeClock();
  const { client } = await new RateLimiterManager({ policies }, { clock }).start();
  return { limiter: client, advance: (ms) => clock.advance(ms) };
});
