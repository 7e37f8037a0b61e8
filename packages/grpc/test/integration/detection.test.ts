import { brokenPromises, detect, FAULTS } from "@steward/testing";
import t from "tap";
import { checkHealth, GrpcChannelManager } from "../../src/index.ts";
import { grpcForTests } from "../../src/testing.ts";

for (const [name, fault] of Object.entries(FAULTS))
  t.test(
    `${name} under 50 calls a second with default options: healed or unhealthy within 2 s, and healthy within 3 s of the cure`,
    async (t) => {
      await using server = await grpcForTests().start();
      const [host = "", port = ""] = server.client.address.split(":");
      const seen = await detect(
        { host, port: Number(port) },
        async (proxy) => {
          const manager = await new GrpcChannelManager({ address: `127.0.0.1:${proxy.port}` }).start();
          return { manager, call: () => checkHealth(manager.client) };
        },
        fault,
      );
      t.comment(name, seen);
      t.strictSame(brokenPromises(seen), []);
    },
  );
