import { brokenPromises, detectAll, LEEWAY } from "@steward/testing";
import t from "tap";
import { WebSocketSessionManager } from "../../src/index.ts";
import { testHub } from "../../src/testing.ts";

const hub = await testHub({ call: (body) => ({ echo: body }) }).start();
t.teardown(() => hub[Symbol.asyncDispose]());
const { hostname, port, pathname } = new URL(hub.url);
const seen = await detectAll({ host: hostname, port: Number(port) }, async (proxy) => {
  const manager = await new WebSocketSessionManager({ url: `ws://127.0.0.1:${proxy.port}${pathname}` }).start();
  return { manager, call: () => manager.client.call("hello") };
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
