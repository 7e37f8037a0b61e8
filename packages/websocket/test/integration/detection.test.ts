import { brokenPromises, detect, FAULTS } from "@steward/testing";
import t from "tap";
import { WebSocketSessionManager } from "../../src/index.ts";
import { testHub } from "../../src/testing.ts";

for (const [name, fault] of Object.entries(FAULTS))
  t.test(
    `${name} under 50 calls a second with default options: healed or unhealthy within 2 s, and healthy within 3 s of the cure`,
    async (t) => {
      await using hub = await testHub({ call: (body) => ({ echo: body }) }).start();
      const { hostname, port, pathname } = new URL(hub.url);
      const seen = await detect(
        { host: hostname, port: Number(port) },
        async (proxy) => {
          const manager = await new WebSocketSessionManager({ url: `ws://127.0.0.1:${proxy.port}${pathname}` }).start();
          return { manager, call: () => manager.client.call("hello") };
        },
        fault,
      );
      t.comment(name, seen);
      t.strictSame(brokenPromises(seen), []);
    },
  );
