import type { Definition } from "@steward/core";
import { sample, type SampleClient } from "./manager.ts";

/** A sample for tests, with timeouts that suit them. */
export const testSample: Definition<SampleClient> = sample("sample", { timeoutMs: 1_000 });
