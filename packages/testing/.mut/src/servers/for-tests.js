import { StewardError } from "@steward/core";
import { startPostgres } from "./postgres.js";
import { findRedis, startRedis } from "./redis.js";
function external(url) {
    return { skip: false, url, server: undefined, [Symbol.asyncDispose]: () => Promise.resolve() };
}
function launched(server) {
    return { skip: false, url: server.url, server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}
/**
 * A Redis for tests: the one at `REDIS_URL`, else one launched now, else a reason to skip.
 *
 * @throws {SERVER_REQUIRED} there is none and `CI=true`, where nothing may be skipped.
 *
 * @example
 * ```ts
 * import { redisForTests } from "@steward/testing/servers";
 * await using redis = await redisForTests();
 * console.log(redis.skip === false ? redis.url : redis.skip);
 * ```
 */
export async function redisForTests(options = {}) {
    const url = process.env["REDIS_URL"];
    if (url !== undefined && url !== "")
        return external(url);
    if (options.binary !== undefined || findRedis() !== undefined)
        return launched(await startRedis(options));
    const skip = "skipped: no Redis here (neither redis-server nor valkey-server on PATH, and REDIS_URL is not set)";
    if (process.env["CI"] === "true")
        throw new StewardError("SERVER_REQUIRED", `CI=true, so this may not be ${skip}`);
    return { skip, [Symbol.asyncDispose]: () => Promise.resolve() };
}
/** A Postgres for tests: the one at `DATABASE_URL`, else one launched now. Throws as `startPostgres` does. */
export async function postgresForTests(options = {}) {
    const url = process.env["DATABASE_URL"];
    return url !== undefined && url !== "" ? external(url) : launched(await startPostgres(options));
}
//# sourceMappingURL=for-tests.js.map