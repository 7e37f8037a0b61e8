import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import t from "tap";
import { container } from "@steward/container";
import { assertFree, balancersOf, fixedPorts, placesOf, within } from "../src/replicas/places.ts";
import { environment, settings, type Settings } from "../src/settings.ts";

async function read(variables: Readonly<Record<string, string>>): Promise<Settings> {
  await using running = await container([settings]).start([environment.is(variables)]);
  return running.get(settings);
}

t.test("each replica has ports of its own, from those on that are set", async (t) => {
  const free = [20_001, 20_002, 20_003, 20_004];
  const ports = (of: Settings) =>
    placesOf(2, of, free).map(({ port, managementPort, rendererPort }) => [port, managementPort, rendererPort]);
  t.strictSame(ports(await read({})), [
    [20_001, 20_003, 0],
    [20_002, 20_004, 0],
  ]);
  const fixed = await read({ MANAGEMENT_PORT: "9464", RENDERER_PORT: "50051" });
  t.strictSame(ports(fixed), [
    [20_001, 9464, 50_051],
    [20_002, 9465, 50_052],
  ]);
  const elsewhere = await read({ RENDERER_PORT: "50051", RENDERER_URL: "http://renderer:50051" });
  t.strictSame(ports(elsewhere)[1], [20_002, 20_004, 0], "a renderer elsewhere");
});

t.test("settings by which two would have one port are refused, with the port and what it is for", async (t) => {
  for (const [env, message] of [
    [
      { PORT: "3001", MANAGEMENT_PORT: "3000" },
      "MANAGEMENT_PORT=3000 means 3000 to 3002 for 3 replicas, and 3001 is PORT's too: choose another one, or 0",
    ],
    [{ MANAGEMENT_PORT: "9464", RENDERER_PORT: "9466" }, /^RENDERER_PORT=9466 means .* 9466 is MANAGEMENT_PORT's too/],
    [{ RENDERER_PORT: "65534" }, /^RENDERER_PORT=65534 means 65534 to 65536 for 3 replicas, and 65536 is no port/],
  ] as const) {
    const given = await read(env);
    t.throws(() => fixedPorts(3, given), { message });
  }
});

t.test("a port that another program has is refused before anything starts", async (t) => {
  await using other = createServer();
  await once(other.listen(0, "127.0.0.1"), "listening");
  const { port } = other.address() as AddressInfo; // it listens on TCP
  const given = await read({ PORT: "0", MANAGEMENT_PORT: String(port) });
  const message = `port ${port} of 127.0.0.1 belongs to another program: stop that, or choose another MANAGEMENT_PORT`;
  await t.rejects(assertFree(fixedPorts(1, given)), { message });
});

t.test("addresses are looked up in networks of either kind", async (t) => {
  const isTrusted = within(["10.0.0.0/8", "192.0.2.7", "fd00::/8"]);
  const asked = ["10.9.8.7", "::ffff:10.9.8.7", "192.0.2.7", "fd00::1", "192.0.2.8", "::1", ""];
  t.strictSame(asked.map(isTrusted), [true, true, true, true, false, false, false]);
  t.strictSame(balancersOf("0.0.0.0"), ["127.0.0.1", "::1", "127.0.0.1"]);
  t.strictSame(balancersOf("192.0.2.7"), ["127.0.0.1", "::1", "192.0.2.7"]);
});
