import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { inspect } from "node:util";
import { Validator } from "@seriousme/openapi-schema-validator";
import type { InjectOptions } from "fastify";
import { sql } from "drizzle-orm";
import { pino } from "pino";
import t from "tap";
import { memoryApiKeys, memorySessions } from "@steward/auth";
import { signedIn, testAuthentication } from "@steward/auth/testing";
import { testCache } from "@steward/cache/testing";
import { container } from "@steward/container";
import { resource, type CachedResponse } from "@steward/core";
import { testDatabase } from "@steward/database/testing";
import type { Problem } from "@steward/fastify";
import { testClient, type TestClient } from "@steward/fastify/testing";
import { inPackage } from "../src/folders.ts";
import { limiter } from "../src/resources/limits.ts";
import { mail } from "../src/resources/mail.ts";
import { overviewOf } from "../src/operators/overview.ts";
import { makeApp } from "../src/server/server.ts";
import { jobs } from "../src/processing/jobs.ts";
import { crypto } from "../src/crypto/backend.ts";
import { http } from "../src/resources/http.ts";
import { db } from "../src/resources/stores.ts";
import { audit, secrets } from "../src/secrets/secrets.ts";
import { environment, settings, type Settings } from "../src/settings.ts";
import { models } from "../src/models/models.ts";
import { speech } from "../src/speech/speech.ts";
import { media } from "../src/videos/media.ts";
import { answers, videoCache, type ShownVideo } from "../src/videos/cached.ts";
import { trainingJobs } from "../src/training/jobs.ts";
import { auth } from "../src/users/auth.ts";
import { users } from "../src/users/users.ts";
import { videos } from "../src/videos/videos.ts";

const LOCAL = { host: "127.0.0.1", hosts: undefined, monitorToken: undefined };

/** Stands in for what no request of these tests gets to. */
const NOBODY = {} as never;
const decision = { allowed: true, retryAfterMs: 0, limit: 9, windowMs: 1_000, remaining: 9, resetMs: 0 };
const NO_LIMIT = { take: async () => decision } as never; // no route asks for more

const ADMIN = { find: async () => ({ isDisabled: false, roles: ["admin"] }) } as never; // no route asks for more
const stores = { sessions: { store: memorySessions() }, apiKeys: { store: memoryApiKeys() } };

const running = await container([
  videos,
  media,
  mail,
  limiter,
  jobs,
  secrets,
  http,
  crypto,
  settings,
  auth,
  users,
  trainingJobs,
  models,
  speech,
])
  .override(db, NOBODY)
  .override(audit, NOBODY)
  .override(mail, NOBODY)
  .override(trainingJobs, NOBODY)
  .override(videoCache, testCache<ShownVideo>("videoCache"))
  .override(answers, testCache<CachedResponse>("answers"))
  .override(limiter, NO_LIMIT)
  .override(users, ADMIN)
  .override(auth, testAuthentication("auth", stores))
  .override(crypto, { aead: () => NOBODY, mac: () => NOBODY } as never)
  .start([environment.is({})]);
const app = await makeApp(pino({ level: "silent" }), () => running, LOCAL);
await app.ready();
t.teardown(async () => {
  await app.close();
  await running.stop();
});

const VIDEOS = "/api/v1/videos";
const json = { "content-type": "application/json" };

async function refusal(
  request: InjectOptions,
): Promise<{ status: number; problem: Problem; headers: Record<string, unknown> }> {
  const response = await app.inject(request);
  return { status: response.statusCode, problem: response.json<Problem>(), headers: response.headers };
}

t.test("JSON that is none is 422, as a problem with the request's id", async (t) => {
  const { status, problem, headers } = await refusal({
    method: "POST",
    url: VIDEOS,
    headers: { ...json, "x-request-id": "try-1" },
    payload: "{bad",
  });
  t.equal(status, 422);
  t.equal(headers["content-type"], "application/problem+json; charset=utf-8");
  t.match(problem, {
    type: "about:blank",
    title: "Unprocessable Entity",
    status: 422,
    detail: "the input is not valid",
    requestId: "try-1",
    errors: [{ path: "body", code: "json_invalid", message: /not valid JSON/ }],
  });
  t.equal(headers["x-request-id"], "try-1");
});

t.test("every problem of a body is told: what is missing, unknown, of the wrong type or out of range", async (t) => {
  const payload = { titel: "x", sourceUrl: "ftp://example.com", durationMs: "90", description: "x".repeat(5_001) };
  const { status, problem } = await refusal({ method: "POST", url: VIDEOS, payload });
  t.equal(status, 422);
  t.same(
    new Set(problem.errors?.map(({ path, code, message }) => `${path} ${code}: ${message}`)),
    new Set([
      "body.title missing: Field required",
      "body.titel extra_forbidden: Extra inputs are not permitted",
      "body.sourceUrl string_pattern_mismatch: String should match pattern '^https?://[^\\s/\\u0000][^\\u0000]*$'",
      "body.durationMs int_type: Input should be a valid integer",
      "body.description string_too_long: String should have at most 5000 characters",
    ]),
  );
});

t.test("a wrong id, limit, cursor or URL is 422 and says what it must be", async (t) => {
  for (const [url, path, code] of [
    [`${VIDEOS}/42`, "path.id", "uuid_parsing"],
    [`${VIDEOS}/urn:uuid:00000000-0000-4000-8000-000000000000`, "path.id", "string_too_long"],
    [`${VIDEOS}?limit=0`, "query.limit", "greater_than_equal"],
    [`${VIDEOS}?limit=101`, "query.limit", "less_than_equal"],
    [`${VIDEOS}?limit=2.5`, "query.limit", "int_parsing"],
    [`${VIDEOS}?limt=5`, "query.limt", "extra_forbidden"],
    ["/api/data", "query.url", "missing"],
    ["/api/data?url=file:///etc/passwd", "query.url", "string_pattern_mismatch"],
  ] as const) {
    const { status, problem } = await refusal({ url });
    t.equal(status, 422, url);
    t.match(problem.errors, [{ path, code, message: /^(?:Field required|Extra|Input should|String should)/ }], url);
    t.equal(problem.errors?.length, 1, url);
  }
});

t.test("text that Postgres or the keys cannot take is 422", async (t) => {
  const headers = await signedIn(running.get(auth), { subject: "ada", scopes: ["*"] });
  const key = { name: "C\0I", scopes: ["account"] };
  const video = { title: "x", sourceUrl: "https://example.com" };
  for (const [url, payload] of [
    ["/api/v1/secrets", { name: "pin", value: "a\ud800b" }],
    ["/api/v1/secrets/search", { value: "\udfff" }],
    ["/users/me/api-keys", key],
    ...["title", "description", "sourceUrl"].map(
      (name) => [VIDEOS, { ...video, [name]: `${video.sourceUrl}\0` }] as const,
    ),
  ] as const) {
    const { status, problem } = await refusal({ method: "POST", url, headers, payload });
    t.equal(status, 422, url);
    t.match(problem.errors, [{ code: "string_pattern_mismatch" }], url);
  }
});

t.test("other media types, methods, paths and sizes are refused with their own status", async (t) => {
  const video = { title: "x", sourceUrl: "https://example.com" };
  t.equal(
    (await refusal({ method: "POST", url: VIDEOS, headers: { "content-type": "text/plain" }, payload: "x" })).status,
    415,
  );
  t.equal(
    (await refusal({ method: "POST", url: VIDEOS, payload: { ...video, description: "x".repeat(70_000) } })).status,
    413,
  );
  const { status, headers } = await refusal({ method: "DELETE", url: VIDEOS });
  t.equal(status, 405);
  t.equal(headers["allow"], "GET, HEAD, POST");
  t.match(await refusal({ url: "/nowhere" }), { status: 404, problem: { detail: "there is no /nowhere" } });
  t.equal((await refusal({ url: "/%zz" })).status, 400);
});

t.test("a request id is echoed where it is sound, and made where it is not", async (t) => {
  for (const given of ["a b", "x".repeat(129), 'x"y']) {
    const response = await app.inject({ url: "/livez", headers: { "x-request-id": given } });
    t.match(response.headers["x-request-id"], /^[0-9a-f-]{36}$/);
  }
  t.equal(
    (await app.inject({ url: "/livez", headers: { "x-request-id": "0af7651916cd43dd.1:2_3-4" } })).headers[
      "x-request-id"
    ],
    "0af7651916cd43dd.1:2_3-4",
  );
});

t.test("while the rest starts, health is answered and other requests are asked to come back", async (t) => {
  await using early = await testClient(await makeApp(pino({ level: "silent" }), () => undefined, LOCAL));
  const { app } = early;
  t.equal((await app.inject("/livez")).statusCode, 200);
  t.equal((await app.inject("/readyz")).statusCode, 503);
  t.equal((await app.inject("/startupz")).statusCode, 503);
  t.match((await app.inject({ url: "/", headers: { accept: "application/json" } })).json(), {
    status: "unknown",
    resources: [],
  });
  t.match((await app.inject({ url: "/", headers: { accept: "text/html" } })).body, /Clips is starting/);
  const { statusCode, headers } = await early.post(VIDEOS, { title: "x", sourceUrl: "https://example.com" });
  t.equal(statusCode, 503);
  t.equal(headers["retry-after"], "1");
  t.equal((await early.get("/nowhere")).statusCode, 404);
  t.equal((await early.get("/openapi.json")).statusCode, 200);
});

t.test("who may not rotate keys learns that, and not what is wrong with the rest", async (t) => {
  const url = "/admin/keys/rotate";
  t.equal((await refusal({ method: "POST", url, payload: {} })).status, 401);
  const headers = await signedIn(running.get(auth), { subject: "ada", scopes: ["*"] });
  const { status, problem } = await refusal({ method: "POST", url: `${url}?x=1`, payload: {}, headers });
  t.equal(status, 422);
  t.strictSame(problem.errors?.map(({ path }) => path).sort(), ["body.backend", "query.x"]);
});

t.test("metrics, and reasons of health, are for this machine, and elsewhere for who knows the token", async (t) => {
  const token = "a-token-for-the-monitor";
  const made = async (settings: Parameters<typeof makeApp>[2]) => {
    return testClient(await makeApp(pino({ level: "silent" }), () => running, settings));
  };
  const asked = async (client: TestClient, headers = {}) => {
    const answers = await Promise.all(["/metrics", "/health/detailed"].map((url) => client.get(url, { headers })));
    return answers.map(({ statusCode }) => statusCode);
  };
  await using local = await made(LOCAL);
  t.strictSame(await asked(local), [200, 200]);
  const { body } = await local.get("/metrics");
  t.match(body, /^steward_requests_open 0$/m);
  t.match(body, /^dependency_health\{.*resource="http"/m);
  await using closed = await made({ ...LOCAL, host: "0.0.0.0" });
  t.strictSame(await asked(closed, { authorization: `Bearer ${token}` }), [404, 404]);
  const { monitorToken } = await read({ CLIPS_MONITOR_TOKEN: token });
  await using guarded = await made({ ...LOCAL, host: "0.0.0.0", monitorToken });
  t.strictSame(await asked(guarded), [401, 401]);
  t.strictSame(await asked(guarded, { authorization: `Bearer ${token}` }), [200, 200]);
});

t.test("the OpenAPI document is valid and holds the whole API", async (t) => {
  const response = await app.inject("/openapi.json");
  type Operation = { readonly security?: unknown; readonly responses: Readonly<Record<string, unknown>> };
  const document = response.json<{ paths: Record<string, Record<string, Operation>> }>();
  const { valid, errors } = await new Validator().validate(document);
  t.ok(valid, "it is valid OpenAPI 3.1", { errors });
  const { paths } = document;
  for (const path of [
    "/api/v1/videos/{id}",
    "/api/data",
    "/api/v1/crypto/encrypt",
    "/api/v1/secrets/search",
    "/users/me",
    "/token",
  ])
    t.ok(path in paths, path);
  t.notOk("/readyz" in paths);
  const successOf = (path: string): string | undefined => Object.keys(paths[path]?.["post"]?.responses ?? {})[0];
  t.equal(successOf("/api/v1/videos"), "201");
  t.equal(successOf("/api/v1/videos/{id}/process"), "202");
  t.ok("422" in (paths["/api/v1/videos"]?.["post"]?.responses ?? {}), "and what is wrong with the input");
  const wanted = [{ bearer: ["keys:rotate"] }, { session: ["keys:rotate"] }];
  t.strictSame(paths["/admin/keys/rotate"]?.["post"]?.security, wanted);
  t.match((await app.inject("/docs")).headers["content-type"], /html/);
});

t.test("bytes that are no HTTP get a problem too", async (t) => {
  await using other = await testClient(await makeApp(pino({ level: "silent" }), () => undefined, LOCAL));
  const { app } = other;
  const { port } = new URL(await app.listen({ port: 0, host: "127.0.0.1" }));
  const socket = connect(Number(port), "127.0.0.1");
  socket.end("GARBAGE\r\n\r\n");
  const [chunk] = await once(socket.setEncoding("utf8"), "data");
  t.match(String(chunk), /^HTTP\/1\.1 400 [^]*application\/problem\+json[^]*"requestId":"[0-9a-f-]{36}"/);
});

/** Settings of an environment, as a container starts with them. */
async function read(variables: Readonly<Record<string, string>>): Promise<Settings> {
  await using running = await container([settings]).start([environment.is(variables)]);
  return running.get(settings);
}

t.test("settings have defaults, and an empty variable counts as not set", async (t) => {
  const plain = await read({ HOST: "", PORT: "" });
  t.match(plain, {
    port: 3000,
    host: "127.0.0.1",
    allowedOrigins: [],
    keks: [],
    tls: {},
    logLevel: "info",
    dataDir: /[\\/]reference[\\/]\.data$/,
  });
  for (const name of ["databaseUrl", "redisUrl", "adminToken"] as const) t.equal(plain[name], undefined);
  t.match(await read({ PORT: "0", ALLOWED_ORIGINS: "https://a.example, http://b.example:8080" }), {
    port: 0,
    allowedOrigins: ["https://a.example", "http://b.example:8080"],
  });
  const [one, two] = [1, 2].map((fill) => Buffer.alloc(32, fill).toString("base64"));
  const { keks } = await read({ CLIPS_KEK: `${one}, ${two}` });
  t.strictSame(
    keks.map((key) => key.reveal()),
    [one, two],
  );
});

/** For each setting what it may not be. */
const WRONG = {
  PORT: "99999",
  HOST: "192.0.2.1",
  CLIPS_HOSTS: "clips.example:3000",
  DATABASE_URL: "postgres://u:hush@h/d?sslmode=often",
  REDIS_URL: "redis://:hush@h/first",
  SMTP_URL: "smtp://",
  MAIL_FROM: "hush",
  ALLOWED_ORIGINS: "https://a.example/path",
  HTTP_CA_FILE: "hush",
  HTTP_CERT_FILE: "hush",
  HTTP_KEY_FILE: "hush",
  RENDERER_URL: "renderer:50051",
  RENDERER_HOST: "renderer.invalid",
  RENDERER_PORT: "-1",
  RENDERER_CERT_FILE: "hush",
  RENDERER_KEY_FILE: "hush",
  RENDERER_CA_FILE: "hush",
  RENDERER_STEP_MS: "0",
  PROCESSING_LEASE_MS: "soon",
  UPLOADS_PER_USER: "0",
  UPLOAD_BYTES_PER_USER: "much",
  CLIPS_KEK: "hush",
  CLIPS_ENVIRONMENT: "Hush!",
  CLIPS_ADMIN_TOKEN: "hush",
  MANAGEMENT_PORT: "x",
  MANAGEMENT_HOST: "192.0.2.1",
  MANAGEMENT_PEERS: "clips",
  TRUSTED_PROXIES: "10.0.0.0/33",
  CLIPS_MONITOR_TOKEN: "hush",
  LOG_LEVEL: "inof",
};
/** What is seen to be wrong once the others are right. */
const WRONG_TOGETHER = [
  [
    { DATA_DIR: import.meta.filename },
    /dataDir: must be a folder that Clips may write to, or make \(variable DATA_DIR\)/,
  ],
  [{ PORT: "3001", MANAGEMENT_PORT: "3001" }, /PORT, MANAGEMENT_PORT and RENDERER_PORT must be different ports, or 0/],
  [{ HTTP_CERT_FILE: import.meta.filename }, /HTTP_CERT_FILE and HTTP_KEY_FILE are set together, or neither is/],
  [{ HTTP_KEY_FILE: import.meta.filename }, /HTTP_CERT_FILE and HTTP_KEY_FILE are set together, or neither is/],
  [
    { HTTP_CERT_FILE: import.meta.filename, HTTP_KEY_FILE: import.meta.filename },
    /HTTP_CERT_FILE and HTTP_KEY_FILE must hold a certificate and its own key/,
  ],
] as const;
// This file is no key, but holds -----BEGIN of one.

t.test("a wrong setting is refused by its name, all at once, without what may be secret", async (t) => {
  const error = await read({ ...WRONG, DATA_DRI: "hush" }).catch((error: unknown) => error);
  for (const name of [...Object.keys(WRONG), "DATA_DRI"]) t.match(String(error), new RegExp(`\\(variable ${name}\\)`));
  t.notMatch(inspect(error, { depth: 9 }), /hush/i);
  for (const [env, message] of WRONG_TOGETHER) await t.rejects(read(env), { code: "OPTIONS_INVALID", message });
  const readme = await readFile(inPackage("README.md"), "utf8");
  const [, table = ""] = /## Settings\n\n((?:\|.*\n)+)/.exec(readme) ?? [];
  const listed = table.split("\n").flatMap((row) => [...(row.split("|")[1] ?? "").matchAll(/[A-Z_]{4,}/g)].map(String));
  t.strictSame(listed.sort(), [...Object.keys(WRONG), "DATA_DIR"].sort(), "the README lists them all");
});

t.test("addresses of stores are what their drivers take, and refused in the words of those", async (t) => {
  const several = "postgres://u:p@a:5432,b:5433/db?sslmode=verify-ca";
  t.equal((await read({ DATABASE_URL: several })).databaseUrl?.reveal(), several);
  const refused = [
    [{ DATABASE_URL: "postgres://u:hush@h/d?sslmode=often" }, /databaseUrl: has an unknown sslmode; known: disable/],
    [{ DATABASE_URL: "postgres://u:hush@h/d?sslmode=prefer" }, /databaseUrl: has sslmode=prefer, which a server/],
    [{ DATABASE_URL: "postgres://u:hush%zz@h/d" }, /databaseUrl: has a % that begins no percent-encoding/],
    [{ DATABASE_URL: "postgres://u:hush@a,b:99999/d" }, /databaseUrl: must be a URL such as postgres:/],
    [{ REDIS_URL: "redis://:hush@h/first" }, /redisUrl: is not redis:\/\/host:port\/db/],
    [{ REDIS_URL: "redis://:hush%zz@h" }, /redisUrl: is not redis:\/\/host:port\/db/],
  ] as const;
  for (const [env, message] of refused) {
    const error: unknown = await read(env).catch((reason: unknown) => reason);
    t.match(error, { code: "OPTIONS_INVALID", message });
    t.notMatch(inspect(error, { depth: 9 }), /hush/);
  }
});

t.test("what runs is told without why something is not well, unless details may be seen", async (t) => {
  const odd = resource("odd", { criticality: "optional", start: () => Promise.reject(new Error("no db.internal")) });
  await using running = await container([odd]).start();
  t.match(overviewOf(running, true).resources, [{ name: "odd", status: "unhealthy", reason: /no db\.internal/ }]);
  t.match(overviewOf(running, false).resources, [{ name: "odd", status: "unhealthy", reason: undefined }]);
});

t.test("an address inside is refused as the source of a video, in every spelling", async (t) => {
  for (const sourceUrl of [
    "http://169.254.169.254/latest",
    "http://127.0.0.1/a.mp4",
    "http://2130706433/a.mp4",
    "http://0x7f.1/a.mp4",
    "http://[::ffff:10.0.0.1]/a.mp4",
    "http://localhost:3000/a.mp4",
    "http://10.1.2.3/a.mp4",
  ]) {
    const payload = JSON.stringify({ title: "one", sourceUrl });
    const { status, problem } = await refusal({ method: "POST", url: VIDEOS, headers: json, payload });
    t.match([status, problem.errors], [422, [{ path: "body.sourceUrl", code: "address" }]], sourceUrl);
  }
});

t.test("a statement that failed stands in the log without what users typed", async (t) => {
  const lines: string[] = [];
  const log = pino({ base: null }, { write: (line: string) => void lines.push(line) });
  const down = testDatabase();
  const error: unknown = await down.client
    .execute(sql`insert into videos values (${"SECRET-TITLE-123"}, ${"https://a.example/?token=SECRETTOKEN"})`)
    .catch((reason: unknown) => reason);
  log.error({ err: error }, "request failed");
  t.match(lines.join(), /insert into videos values/);
  t.notMatch(lines.join(), /SECRET/);
});
