import { once } from "node:events";
import { BlockList, createServer, isIP } from "node:net";
import { StewardError } from "@steward/core";
import type { Settings } from "../settings.ts";
import type { Place } from "./replicas.ts";

const LAST_PORT = 65_535;

/** What of the settings says where replicas listen. */
type Listening = Pick<Settings, "host" | "port" | "managementPort" | "managementHost" | "renderer">;

/** A port that a setting names. */
interface FixedPort {
  readonly name: string;
  readonly host: string;
}

/** The ports that settings name for the balancer and so many replicas. @throws where two would have one port. */
export function fixedPorts(count: number, settings: Listening): ReadonlyMap<number, FixedPort> {
  const { host, port, managementHost, managementPort = 0, renderer } = settings;
  const ports = new Map<number, FixedPort>();
  const take = (name: string, host: string, first: number, many: number): void => {
    const end = first === 0 ? 0 : first + many;
    for (let port = first; port < end; port++) {
      const range = `${name}=${first} means ${first} to ${end - 1} for ${many} replicas`;
      const other = port > LAST_PORT ? "no port" : ports.get(port) && `${ports.get(port)?.name}'s too`;
      if (other !== undefined)
        throw new StewardError("OPTIONS_INVALID", `${range}, and ${port} is ${other}: choose another one, or 0`);
      ports.set(port, { name, host });
    }
  };
  take("PORT", host, port, 1);
  take("MANAGEMENT_PORT", managementHost, managementPort, count);
  if (renderer.url === undefined) take("RENDERER_PORT", renderer.host, renderer.port, count);
  return ports;
}

/** @throws where another program has one of these ports. */
export async function assertFree(ports: ReadonlyMap<number, FixedPort>): Promise<void> {
  for (const [port, { name, host }] of ports) {
    const server = createServer();
    await once(server.listen(port, host), "listening").catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EADDRINUSE") throw error;
      const why = `port ${port} of ${host} belongs to another program: stop that, or choose another ${name}`;
      throw new StewardError("OPTIONS_INVALID", why);
    });
    await once(server.close(), "close");
  }
}

/**
 * Where each replica listens: for requests on a free port, for operators and renderers from that one on that is set.
 *
 * @param free Free ports, two for each.
 */
export function placesOf(count: number, settings: Listening, free: readonly number[]): Place[] {
  const { host, managementPort = 0, renderer } = settings;
  const from = (first: number, i: number, otherwise = 0): number => (first === 0 ? otherwise : first + i);
  return Array.from({ length: count }, (_, i) => ({
    name: `replica ${i + 1}`,
    host: reachable(host),
    port: free[i] ?? 0,
    managementPort: from(managementPort, i, free[count + i]),
    rendererPort: from(renderer.url === undefined ? renderer.port : 0, i),
  }));
}

/** Where a server is asked that listens on `host`, as all replicas do. */
function reachable(host: string): string {
  return host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
}

/** Where requests of the balancer come from, for replicas at `host`. */
export function balancersOf(host: string): string[] {
  const address = reachable(host);
  return ["127.0.0.1", "::1", ...(isIP(address) === 0 ? [] : [address])];
}

/** Whether an address is one of these, or in one of these networks. */
export function within(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits] = network.split("/");
    const version = isIP(address);
    list.addSubnet(address, Number(bits ?? (version === 4 ? 32 : 128)), version === 4 ? "ipv4" : "ipv6");
  }
  return (address) => isIP(address) !== 0 && list.check(address, isIP(address) === 4 ? "ipv4" : "ipv6");
}
