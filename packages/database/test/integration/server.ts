import { postgresForTests, startPgBouncer, type PostgresServer } from "@steward/launchers";
import postgres from "postgres";

let made = 0;

/** With STEWARD_POOLED=1 the tests run through a PgBouncer in transaction mode. */
const isPooled = process.env["STEWARD_POOLED"] === "1";

/** What cannot work through a pooler, and why. */
export function unlessPooled(why: string): { readonly skip: string | false } {
  return { skip: isPooled && `skipped: through a pooler ${why}` };
}

/** A database of its own on a real server, and an observer that is not ours. */
export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly server: PostgresServer | undefined;
  /** A plain client of the driver, to see what the server sees. */
  readonly observer: postgres.Sql;
  /** A fresh database on the same server. */
  freshDatabase(): Promise<string>;
}

/** Starts a server, or takes the one at DATABASE_URL, with a database of its own. */
export async function testServer(settings: Readonly<Record<string, string | number>> = {}): Promise<TestServer> {
  const server = await postgresForTests({ settings });
  const pooler = isPooled ? await startPgBouncer({ target: server.url, poolSize: 30 }) : undefined;
  const observer = postgres(server.url, { max: 2, onnotice() {} });
  const names: string[] = [];
  const freshDatabase = async (): Promise<string> => {
    const name = `steward_${process.pid}_${++made}`;
    await observer.unsafe(`create database ${name}`);
    names.push(name);
    return Object.assign(new URL(pooler?.url ?? server.url), { pathname: `/${name}` }).href;
  };
  const url = await freshDatabase();
  return {
    url,
    server: server.server,
    observer,
    freshDatabase,
    async [Symbol.asyncDispose]() {
      for (const name of names) await observer.unsafe(`drop database if exists ${name} with (force)`).catch(() => {});
      await pooler?.stop();
      await observer.end({ timeout: 2 });
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Has a pool open so many connections, whatever each takes to open: all are held at once. */
export async function openConnections({ $client }: { readonly $client: postgres.Sql }, count: number): Promise<void> {
  const held = await Promise.all(Array.from({ length: count }, () => $client.reserve()));
  for (const connection of held) connection.release();
}
