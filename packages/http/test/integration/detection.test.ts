import { brokenPromises, detectAll, LEEWAY } from "@steward/testing";
import t from "tap";
import { HttpSessionManager } from "../../src/index.ts";
import { serve } from "../servers.ts";

const server = await serve((_request, response) => response.end("hello"));
t.teardown(() => server[Symbol.asyncDispose]());
const seen = await detectAll(server.url, async (proxy) => {
  const manager = await new HttpSessionManager({ baseUrl: proxy.url }).start();
  return { manager, call: async () => (await manager.client.request("/")).body.text() };
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
