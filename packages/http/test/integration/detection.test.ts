import { brokenPromises, detect, FAULTS } from "@steward/testing";
import t from "tap";
import { HttpSessionManager } from "../../src/index.ts";
import { serve } from "../servers.ts";

for (const [name, fault] of Object.entries(FAULTS))
  t.test(
    `${name} under 50 calls a second with default options: healed or unhealthy within 2 s, and healthy within 3 s of the cure`,
    async (t) => {
      await using server = await serve((_request, response) => response.end("hello"));
      const seen = await detect(
        server.url,
        async (proxy) => {
          const manager = await new HttpSessionManager({ baseUrl: proxy.url }).start();
          return { manager, call: async () => (await manager.client.request("/")).body.text() };
        },
        fault,
      );
      t.comment(name, seen);
      t.strictSame(brokenPromises(seen), []);
    },
  );
