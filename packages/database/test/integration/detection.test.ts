import { brokenPromises, detect, FAULTS } from "@steward/testing";
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
      t.strictSame(brokenPromises(seen), []);
    },
  );
