import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { estimate, type Findings, row } from "@steward/harness";
import { startPostgres, startRedis, startRedisCluster } from "@steward/launchers";
import type { Settings } from "../settings.ts";

const area = "launchers";
const TEMPLATES = "STEWARD_POSTGRES_TEMPLATES";

/** From a call to a real server that answers, and to its end. In ms of a clock: servers are processes of their own. */
export async function launchersBench({ rounds, say }: Settings): Promise<Findings> {
  const folder = mkdtempSync(join(tmpdir(), "bench-launchers-"));
  const earlier = process.env[TEMPLATES];
  const servers: Readonly<Record<string, () => Promise<AsyncDisposable>>> = {
    "a Postgres": () => withTemplates(undefined, startPostgres),
    "a Postgres, a copy of an earlier one": () => withTemplates(folder, startPostgres),
    "a Redis": startRedis,
    "a Redis Cluster of three": () => startRedisCluster({ masters: 3 }),
  };
  try {
    await using _first = await withTemplates(folder, startPostgres); // the one that others are copied from
    const found = Object.fromEntries(Object.keys(servers).map((name) => [name, { up: [], down: [] } as Times]));
    for (let round = 0; round < rounds; round++) {
      say(`round ${round + 1} of ${rounds}`);
      for (const [name, start] of Object.entries(servers)) await timed(start, found[name]);
    }
    return {
      rows: Object.entries(found).flatMap(([name, { up, down }]) => [
        row({ area, work: `${name} answers`, unit: "ms", ours: estimate(up) }),
        row({ area, work: `${name} has ended`, unit: "ms", ours: estimate(down) }),
      ]),
    };
  } finally {
    if (earlier !== undefined) process.env[TEMPLATES] = earlier;
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Times {
  readonly up: number[];
  readonly down: number[];
}

async function timed(start: () => Promise<AsyncDisposable>, times: Times | undefined): Promise<void> {
  const before = performance.now();
  const server = await start();
  const between = performance.now();
  await server[Symbol.asyncDispose]();
  times?.up.push(between - before);
  times?.down.push(performance.now() - between);
}

async function withTemplates<T>(folder: string | undefined, start: () => Promise<T>): Promise<T> {
  if (folder === undefined) delete process.env[TEMPLATES];
  else process.env[TEMPLATES] = folder;
  return await start();
}
