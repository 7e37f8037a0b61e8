import { brokenPromises, detectAll, LEEWAY } from "@steward/testing";
import t from "tap";
import { RedisPoolManager } from "../../src/index.ts";
import { launch, needsRedis } from "../setup.ts";

t.test("faults under 50 calls a second with default options", needsRedis, async (t) => {
  const server = await launch(t);
  const seen = await detectAll({ host: server.host, port: server.port }, async (proxy) => {
    const manager = await new RedisPoolManager({ host: proxy.host, port: proxy.port }).start();
    return { manager, call: () => manager.client.incr("n") };
  });
  for (const [name, one] of Object.entries(seen))
    await t.test(`${name} is noticed or healed, and healthy after the cure`, async (t) => {
      t.comment(one);
      t.strictSame(brokenPromises(one, LEEWAY), []);
    });
});
