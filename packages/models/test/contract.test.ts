import assert from "node:assert/strict";
import type { ManagerContext } from "@steward/core/driver";
import { resourceContract } from "@steward/testing";
import t from "tap";
import { ModelManager } from "../src/index.ts";
import { onnxModel } from "../src/testing.ts";

const engine = import.meta.resolve("@steward/onnx");
const bytes = onnxModel({ sizes: [4, 2] });

resourceContract(
  { test: (name, fn) => void t.test(name, fn), assert },
  {
    create: (context: ManagerContext) => new ModelManager({ source: { bytes }, engine }, context),
    use: (manager) => manager.client.run({ x: new Float32Array(4) }),
  },
);
