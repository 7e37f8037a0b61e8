import { brokenPromises, detect, FAULTS } from "@steward/testing";
import t from "tap";
import { RedisPoolManager } from "../../src/index.ts";
import { launch, needsRedis } from "../setup.ts";

for (const [name, fault] of Object.entries(FAULTS))
  t.test(
    `${name} under 50 calls a second with default options: healed or unhealthy within 2 s, and healthy within 3 s of the cure`,
    needsRedis,
    async (t) => {
      const server = await launch(t);
      const seen = await detect(
        { host: server.host, port: server.port },
        async (proxy) => {
          const manager = await new RedisPoolManager({ host: proxy.host, port: proxy.port }).start();
          return { manager, call: () => manager.client.incr("n") };
        },
        fault,
      );
      t.comment(name, seen);
      t.strictSame(brokenPromises(seen), []);
    },
  );
