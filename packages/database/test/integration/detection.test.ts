import { brokenPromises, detectAll, LEEWAY } from "@steward/testing";
import { startPostgres } from "@steward/launchers";
import t from "tap";
import { DatabasePoolManager } from "../../src/index.ts";

const server = await startPostgres({});
t.teardown(() => server.stop());
const seen = await detectAll(server.url, async (proxy) => {
  const manager = await new DatabasePoolManager({ url: proxy.url }).start();
  return { manager, call: () => manager.client.$client`select 1` };
});

for (const [name, one] of Object.entries(seen))
  t.test(
    `${name} under 50 calls a second with default options is noticed or healed, and healthy after the cure`,
    (t) => {
      t.comment(one);
      t.strictSame(brokenPromises(one, LEEWAY), []);
      t.end();
    },
  );
