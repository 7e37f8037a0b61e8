import { brokenPromises, detectAll, LEEWAY } from "@steward/testing";
import t from "tap";
import { checkHealth, GrpcChannelManager } from "../../src/index.ts";
import { testGrpcServer } from "../../src/testing.ts";

const server = await testGrpcServer().start();
t.teardown(() => server.stop());
const [host = "", port = ""] = server.client.address.split(":");
const seen = await detectAll({ host, port: Number(port) }, async (proxy) => {
  const manager = await new GrpcChannelManager({ address: `127.0.0.1:${proxy.port}` }).start();
  return { manager, call: () => checkHealth(manager.client) };
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
