import { brokenPromises, detectAll, LEEWAY } from "@steward/testing";
import t from "tap";
import { PgPoolManager } from "../../src/index.ts";
import { serverFor } from "../setup.ts";

const server = await serverFor(t);
const seen = await detectAll(server.url, async (proxy) => {
  const manager = await new PgPoolManager({ url: proxy.url }).start();
  return { manager, call: () => manager.client.query("select 1") };
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
