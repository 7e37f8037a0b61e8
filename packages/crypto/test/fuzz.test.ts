import { rounds } from "@steward/testing";
import t from "tap";
import { fuzz } from "./fuzz/fuzz.ts";

t.test(
  "whatever is changed in messages, headers, stored keysets and hashes, the answer is a typed error",
  async (t) => {
    const { faults, outcomes, slowestMs } = await fuzz(rounds(6_000), Date.now() % 1_000_000);
    t.same(faults, []);
    t.ok((outcomes["CRYPTO_AUTHENTICATION_FAILED"] ?? 0) > rounds(100));
    t.comment(`slowest ${Math.round(slowestMs)} ms: ${JSON.stringify(outcomes)}`);
  },
);
