import { detect, FAULTS } from "@steward/testing";
import { startPostgres } from "@steward/testing/servers";
import t from "tap";
import { DatabasePoolManager } from "../../src/index.ts";

const server = await startPostgres({});
t.teardown(() => server.stop());

for (const [name, fault] of Object.entries(FAULTS))
  t.test(
    `${name} under 50 calls a second with default options: healed or unhealthy within 2 s, and healthy within 3 s of the cure`,
    async (t) => {
      const seen = await detect(
        server.url,
        async (proxy) => {
          const manager = await new DatabasePoolManager({ url: proxy.url }).start();
          return { manager, call: () => manager.client.$client`select 1` };
        },
        fault,
      );
      t.comment(name, seen);
      t.ok(
        Math.min(seen.unhealthyMs, seen.healedMs) <= 2_000,
        `unhealthy after ${seen.unhealthyMs} ms, healed after ${seen.healedMs} ms`,
      );
      t.ok(seen.healthyAgainMs <= 3_000, `healthy again ${seen.healthyAgainMs} ms after the cure`);
      t.ok(seen.slowestRefusalMs <= 50, `calls are refused within ${seen.slowestRefusalMs} ms`);
      t.ok(
        seen.quickRatio >= 0.95,
        `${seen.quickRatio * 100} % of the calls did not wait for nothing while it was unhealthy`,
      );
    },
  );
