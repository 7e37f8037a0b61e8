import assert from "node:assert/strict";
import type { ManagerContext } from "@steward/core/driver";
import { resourceContract, trackHandles } from "@steward/testing";
import t from "tap";
import { CacheManager } from "../src/index.ts";
import { cacheContract } from "../src/testing.ts";

const handles = trackHandles();
const runner = { test: (name: string, fn: () => Promise<void>) => void t.test(name, fn), assert };

resourceContract(runner, { create: (context: ManagerContext) => new CacheManager({}, context) });

cacheContract(runner, async () => {
  const manager = await new CacheManager({ ttlMs: 60_000, staleMs: 60_000 }).start();
  return { cache: manager.client, [Symbol.asyncDispose]: () => manager.stop() };
});

t.test("nothing stays open", () => handles.assertNoLeaks());
