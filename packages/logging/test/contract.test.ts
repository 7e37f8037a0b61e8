import assert from "node:assert/strict";
import type { ManagerContext } from "@steward/core/driver";
import { resourceContract } from "@steward/testing";
import t from "tap";
import { LoggerManager } from "../src/index.ts";
import { memoryLog } from "../src/testing.ts";

resourceContract(
  { test: (name, fn) => void t.test(name, fn), assert },
  { create: (context: ManagerContext) => new LoggerManager({ destination: memoryLog() }, context) },
);
