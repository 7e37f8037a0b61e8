import assert from "node:assert/strict";
import { checkOptions, isStewardError } from "@steward/core";
import { resourceContract } from "@steward/testing";
import t from "tap";
import { SampleManager } from "../src/index.ts";
import { schema } from "../src/options.ts";

const options = checkOptions("sample", schema, {});

resourceContract(
  { test: (name, fn) => t.test(name, fn), assert },
  {
    create: (context) => new SampleManager(options, context),
    use: (manager) => manager.client.call("hi"),
  },
);

t.test("a mistyped option is refused with the nearest known one", async (t) => {
  t.throws(() => checkOptions("sample", schema, { timeout: 1 }), { message: /did you mean "timeoutMs"/ });
});

t.test("an empty text is refused", async (t) => {
  await using manager = await new SampleManager(options).start();
  const error: unknown = await manager.client.call("").catch((reason: unknown) => reason);
  t.ok(isStewardError(error, "SAMPLE_REFUSED"));
});
