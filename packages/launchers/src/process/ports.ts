import { randomInt } from "node:crypto";
import { createServer, type Server } from "node:net";

/** Highest port for a server: a driver that derives a second port from it stays in range. */
export const MAX_PORT = 55_535;
/** Highest port of a Redis Cluster node, whose bus listens 10,000 higher. */
export const MAX_CLUSTER_PORT = 45_535;

/** Below what Linux and macOS give to who asks for any port: one that is free stays so until its server listens. */
const UNASKED = { least: 20_000, most: 32_000 };

const RANDOM_TRIES = 400;
const KERNEL_TRIES = 40;

function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => resolve(server));
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Returns whether the port of 127.0.0.1 has no listener now. */
export async function isFree(port: number): Promise<boolean> {
  const server = await listen(port);
  if (server !== undefined) await close(server);
  return server !== undefined;
}

/**
 * `count` different free ports of 127.0.0.1, none above `max`. They are free now; somebody may still take one before
 * its server listens, so the caller tries again.
 */
export async function freePorts(count: number, max: number = MAX_PORT): Promise<number[]> {
  const held: Server[] = [];
  const ports: number[] = [];
  try {
    for (let tries = 0; ports.length < count && tries < RANDOM_TRIES; tries += 1) {
      await take(randomInt(UNASKED.least, Math.min(max, UNASKED.most)), max, held, ports);
    }
    // The kernel hands out a different port while the unsuitable ones are held.
    for (let tries = 0; ports.length < count && tries < KERNEL_TRIES + count; tries += 1) {
      await take(0, max, held, ports);
    }
  } finally {
    await Promise.all(held.map(close));
  }
  return ports;
}

async function take(port: number, max: number, held: Server[], ports: number[]): Promise<void> {
  const server = await listen(port);
  if (server === undefined) return;
  held.push(server);
  const got = portOf(server);
  const bus = max === MAX_CLUSTER_PORT ? await isFree(got + 10_000) : true;
  if (got <= max && bus) ports.push(got);
}

/** One free port, see {@link freePorts}. */
export async function freePort(max: number = MAX_PORT): Promise<number> {
  const [port] = await freePorts(1, max);
  if (port === undefined) throw new Error(`no free port up to ${max} on 127.0.0.1`);
  return port;
}
