import { StewardError } from "@steward/core";
import { assertShape } from "@steward/core/driver";
import { postgresShape, type PostgresOptions } from "./postgres/options.ts";
import { type PostgresServer, startPostgres } from "./postgres/postgres.ts";
import { redisShape, type RedisOptions } from "./redis/options.ts";
import { findRedis, type RedisServer, startRedis } from "./redis/redis.ts";

/** A server that a test can use: one that runs already, or one launched for it. */
export interface PresentServer<Launched> extends AsyncDisposable {
  readonly skip: false;
  readonly url: string;
  /** What was launched; `undefined` where the URL came from the environment, so nothing may be killed or frozen. */
  readonly server: Launched | undefined;
}

/** There is no server; `skip` says so in one line for the runner's own way to skip. */
export interface AbsentServer extends AsyncDisposable {
  readonly skip: string;
  readonly url?: never;
  readonly server?: never;
}

/** What a test suite gets: a server, or a reason to skip. */
export type ServerForTests<Launched> = PresentServer<Launched> | AbsentServer;

function external(url: string): PresentServer<never> {
  return { skip: false, url, server: undefined, [Symbol.asyncDispose]: () => Promise.resolve() };
}

function launched<S extends AsyncDisposable & { readonly url: string }>(server: S): PresentServer<S> {
  return { skip: false, url: server.url, server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/**
 * A Redis for tests: the one at `REDIS_URL`, else one launched now, else a reason to skip.
 *
 * @throws {SERVER_REQUIRED} there is none and `CI=true`, where nothing may be skipped.
 *
 * @example
 * ```ts
 * import { redisForTests } from "@steward/launchers";
 * await using redis = await redisForTests();
 * console.log(redis.skip === false ? redis.url : redis.skip);
 * ```
 */
export async function redisForTests(options: RedisOptions = {}): Promise<ServerForTests<RedisServer>> {
  assertShape("redisForTests", redisShape, options);
  const url = process.env["REDIS_URL"];
  if (url !== undefined && url !== "") return external(url);
  if (options.binary !== undefined || findRedis() !== undefined) return launched(await startRedis(options));
  const skip = "skipped: no Redis here (neither redis-server nor valkey-server on PATH, and REDIS_URL is not set)";
  if (process.env["CI"] === "true") throw new StewardError("SERVER_REQUIRED", `CI=true, so this may not be ${skip}`);
  return { skip, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** A Postgres for tests: the one at `DATABASE_URL`, else one launched now. Throws as `startPostgres` does. */
export async function postgresForTests(options: PostgresOptions = {}): Promise<PresentServer<PostgresServer>> {
  assertShape("postgresForTests", postgresShape, options);
  const url = process.env["DATABASE_URL"];
  return url !== undefined && url !== "" ? external(url) : launched(await startPostgres(options));
}
