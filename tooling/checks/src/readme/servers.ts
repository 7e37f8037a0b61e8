import { postgresForTests, redisForTests } from "@steward/launchers";

/** The servers that programs of a README ask for, and where to find them. */
export interface Servers extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
  /** Asked for, but not on this machine. */
  readonly missing: ReadonlySet<string>;
}

interface Found extends AsyncDisposable {
  readonly skip: false | string;
  readonly url?: string;
}

const launchers: Readonly<Record<string, readonly [variable: string, launcher: () => Promise<Found>]>> = {
  postgres: ["DATABASE_URL", postgresForTests],
  redis: ["REDIS_URL", redisForTests],
};

/** Starts what is needed. */
export async function startServers(needs: ReadonlySet<string>): Promise<Servers> {
  const started: Found[] = []; // AsyncDisposableStack is not in Node 20.
  const env: Record<string, string> = {};
  const missing = new Set<string>();
  for (const need of needs) {
    const [variable, launcher] = launchers[need] ?? [];
    if (variable === undefined || launcher === undefined) throw new Error(`no server is called "${need}"`);
    const server = await launcher();
    started.push(server);
    if (server.url !== undefined) env[variable] = server.url;
    else {
      missing.add(need);
      console.log(`readme: programs that need ${need} are skipped: ${String(server.skip)}`);
    }
  }
  const stop = async () => {
    for (const server of started.reverse()) await server[Symbol.asyncDispose]();
  };
  return { env, missing, [Symbol.asyncDispose]: stop };
}
