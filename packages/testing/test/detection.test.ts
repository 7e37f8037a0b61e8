import t from "tap";
import { brokenPromises, type Detected } from "../src/index.ts";

const kept: Detected = {
  unhealthyMs: 2_000,
  healedMs: Number.POSITIVE_INFINITY,
  healthyAgainMs: 3_000,
  lateRefusals: 0,
  quickRatio: 0.95,
  outcomes: {},
};

t.test("what an outage must show is judged at its bounds, each by itself", (t) => {
  t.strictSame(brokenPromises(kept), []);
  t.strictSame(brokenPromises({ ...kept, unhealthyMs: Number.POSITIVE_INFINITY, healedMs: 10 }), [], "healed instead");
  t.match(brokenPromises({ ...kept, unhealthyMs: 2_001 }), [/^unhealthy after 2001 ms/]);
  t.match(brokenPromises({ ...kept, healthyAgainMs: 3_001 }), [/^healthy again 3001 ms/]);
  t.match(brokenPromises({ ...kept, quickRatio: 0.94 }), [/^only 94 %/]);
  t.strictSame(brokenPromises({ ...kept, unhealthyMs: 3_999 }, 2), [], "with leeway");
  t.match(brokenPromises({ ...kept, unhealthyMs: 4_001 }, 2), [/^unhealthy after 4001 ms/]);
  t.match(brokenPromises({ ...kept, quickRatio: 0.89 }, 2), [/^only 89 %/]);
  t.equal(brokenPromises({ ...kept, unhealthyMs: 9_999, quickRatio: 0 }).length, 2);
  t.end();
});
