import * as auth from "@steward/auth";
import * as authOidc from "@steward/auth/oidc";
import * as authTesting from "@steward/auth/testing";
import * as cache from "@steward/cache";
import * as cacheTesting from "@steward/cache/testing";
import { container } from "@steward/container";
import * as containers from "@steward/container";
import * as profiles from "@steward/container/profile";
import * as workerPools from "@steward/container/worker-pool";
import * as framework from "@steward/container/framework";
import * as config from "@steward/config";
import * as configTesting from "@steward/config/testing";
import * as core from "@steward/core";
import * as coreAdaptiveLimit from "@steward/core/adaptive-limit";
import * as coreBatch from "@steward/core/batch";
import * as coreChecks from "@steward/core/checks";
import * as coreContainer from "@steward/core/container";
import * as coreDriver from "@steward/core/driver";
import * as coreTesting from "@steward/core/testing";
import * as coreWorker from "@steward/core/worker";
import * as crypto from "@steward/crypto";
import * as pki from "@steward/crypto/pki";
import * as cryptoTesting from "@steward/crypto/testing";
import * as database from "@steward/database";
import * as databaseKysely from "@steward/database/kysely";
import * as cli from "@steward/cli";
import * as dashboardPackage from "@steward/dashboard";
import * as dashboardLayout from "@steward/dashboard/layout";
import * as databaseTesting from "@steward/database/testing";
import * as expressPackage from "@steward/express";
import * as honoPackage from "@steward/hono";
import * as plugin from "@steward/fastify";
import * as pluginTesting from "@steward/fastify/testing";
import * as grpc from "@steward/grpc";
import * as grpcTesting from "@steward/grpc/testing";
import * as http from "@steward/http";
import * as httpFetch from "@steward/http/fetch";
import * as httpTesting from "@steward/http/testing";
import * as logging from "@steward/logging";
import * as audit from "@steward/logging/audit";
import * as loggingTesting from "@steward/logging/testing";
import * as models from "@steward/models";
import * as modelsGrpc from "@steward/models/grpc";
import * as modelsRemote from "@steward/models/remote";
import * as modelsServe from "@steward/models/serve";
import * as modelsTesting from "@steward/models/testing";
import * as nestPackage from "@steward/nest";
import * as pg from "@steward/pg";
import * as pgTesting from "@steward/pg/testing";
import * as rateLimit from "@steward/rate-limit";
import * as rateLimitTesting from "@steward/rate-limit/testing";
import * as redis from "@steward/redis";
import * as redisCluster from "@steward/redis/cluster";
import * as redisTesting from "@steward/redis/testing";
import * as telemetry from "@steward/telemetry";
import * as alertWatch from "@steward/telemetry/alerts";
import * as openTelemetry from "@steward/telemetry/opentelemetry";
import * as alertRules from "@steward/telemetry/rules";
import * as testing from "@steward/testing";
import * as serverSuite from "@steward/testing/server";
import * as server from "@steward/server";
import * as nodeServer from "@steward/server/node";
import * as servers from "@steward/launchers";
import * as training from "@steward/training";
import * as trainingOnnx from "@steward/training/onnx";
import * as trainingTesting from "@steward/training/testing";
import * as trainingTfjs from "@steward/training/tfjs";
import * as websocket from "@steward/websocket";
import * as websocketHub from "@steward/websocket/hub";
import * as websocketTesting from "@steward/websocket/testing";
import express from "express";
import { Hono } from "hono";
import { fastify } from "fastify";
import * as v from "valibot";

type Wrong = Readonly<Record<string, unknown>>;

/** How an export is given options, and options that it has to refuse besides one that does not exist. */
export interface Entry {
  readonly call: (options: never) => unknown;
  readonly wrong: readonly Wrong[];
}

const limited = rateLimit.rateLimiter("limited", { policies: { api: "5/minute" } });

const signing = { issuer: "a", audience: "b", keys: authTesting.testTokenKeys() };
const authenticator = authTesting.testAuthentication();

/** The exports of an entry point of a package: what takes options, and what takes none. */
export interface EntryPoint {
  readonly module: object;
  readonly takes: Readonly<Record<string, Entry>>;
  /** What takes no options, or only hands them to one that is listed. */
  readonly none: readonly string[];
}

const settings = v.strictObject({});
const nothing = (): void => {};

const { resource } = core;
const one = resource("one", { start: () => 1 });

/** Starts a container with a resource, which tells problems of literal options with all others. */
const started = (definition: unknown): unknown => container([definition as typeof one]).start();

const running = async <T>(use: (running: containers.RunningContainer) => T): Promise<Awaited<T>> => {
  await using up = await container([one]).start();
  return await use(up);
};

const registered = async (options: object): Promise<void> => {
  const app = fastify();
  try {
    await app.register(plugin.steward, options as never);
    await app.ready();
  } finally {
    await app.close();
  }
};

const DURATIONS: readonly Wrong[] = [{ timeoutMs: Number.NaN }, { timeoutMs: -1 }, { timeoutMs: "5s" }];
/** Settings of an app on any server of Node's, each wrong. */
const APP_SETTINGS: readonly Wrong[] = [
  ...DURATIONS,
  { maxBodyBytes: 0 },
  { maxConnections: "many" },
  { errors: { shape: "html" } },
  { log: () => {} },
  { requestId: true },
];
const WRONG_RULES: readonly Wrong[] = [{ selector: 5 }, { objective: 1 }, { slowStartMs: "5s" }];
const WRONG_SHEDDING: readonly Wrong[] = [{ maxUtilisation: 1 }, { forMs: "1s" }, { retryAfterMs: -1 }, { clock: {} }];
const CONTEXT: readonly Wrong[] = [{ stopTimeoutMs: Number.NaN }, { startTimeoutMs: "5s" }, { clock: {} }];
const SETTINGS: readonly Wrong[] = [
  { criticality: "bogus" },
  { readiness: "gatee" },
  { startTimeoutMs: -5 },
  { stopTimeoutMs: "5s" },
  { drainTimeoutMs: Number.NaN },
  { tags: "cache" },
  { enabled: "no" },
];

/** `permitted` of a server package, for an object. */
const permittedBy = (permitted: (...given: readonly unknown[]) => unknown): Entry => ({
  call: (options) => {
    const me = resource("me", {
      lifetime: "request",
      start: () => ({ subject: "ada", scopes: new Set(["x"]), session: undefined }),
    });
    const access = { permissions: new Set(["x"]), policies: {}, can: () => true };
    return permitted(me, access, "x", { object: me, ...(options as object) });
  },
  wrong: [{ as: 401 }, { object: 1 }],
});

/** A driver: its definition, and its manager with options and with a context. */
const driver = (define: (name: string, options: never) => unknown, valid: Wrong, wrong: readonly Wrong[]): Entry => ({
  call: (options) => started(define("driver", { ...valid, ...(options as object) } as never)),
  wrong: [...wrong, ...SETTINGS],
});

const manager = (
  Manager: new (options: never, context: never) => unknown,
  valid: Wrong,
  wrong: readonly Wrong[],
): Entry => ({
  call: (options) =>
    Object.keys(options).some((key) => key in { stopTimeoutMs: 1, startTimeoutMs: 1, clock: 1 })
      ? new Manager(valid as never, options)
      : new Manager({ ...valid, ...(options as object) } as never, {} as never),
  wrong: [...wrong, ...CONTEXT],
});

const SERVING: readonly Wrong[] = [
  { engine: "" },
  { isolation: "worker" },
  { workers: 0 },
  { threads: 0 },
  { device: "gpu" },
  { precision: "" },
  { tolerance: -1 },
  { maxBatch: 0 },
  { waitMs: -1 },
  { maxPending: -1 },
  { timeoutMs: 0 },
  { runTimeoutMs: 0 },
  { breaker: { consecutive: 1 } },
];
const REMOTE: readonly Wrong[] = [
  { url: "x" },
  { model: "" },
  { version: "" },
  { headers: { a: 1 } },
  { plaintext: 1 },
  { fetch: 1 },
  { timeoutMs: 0 },
  { maxConcurrent: 0 },
  { maxPending: -1 },
  { maxBytes: 0 },
  { binary: "yes" },
  { maxRows: 0 },
  { breaker: { consecutive: 1 } },
];
const GRPC_MODEL = { channel: { as: nothing } };
const GRPC_REMOTE: readonly Wrong[] = [
  { channel: {} },
  { model: "" },
  { version: "" },
  { timeoutMs: 0 },
  { maxConcurrent: 0 },
  { maxPending: -1 },
  { maxRows: 0 },
  { breaker: { consecutive: 1 } },
];

const idleDatabase = (): never => new database.DatabasePoolManager({ url: "postgres://x@127.0.0.1/y" }).client as never; // for its options alone

const TRAINER: Wrong = { module: new URL(import.meta.url) };
const WRONG_TRAINER: readonly Wrong[] = [
  { module: "./net.js" },
  { module: new URL("https://example.com") },
  { workers: 0 },
  { workers: 65 },
  { workerStartTimeoutMs: Number.NaN },
];
const DENSE = { inputs: 1, layers: [{ units: 1 }] } as const;
const WRONG_DENSE: readonly Wrong[] = [{ inputs: 0 }, { layers: [] }, { layers: [{ units: 1, activation: "gelu" }] }];

const CACHE: readonly Wrong[] = [
  { ttlMs: 0 },
  { staleMs: "5s" },
  { jitter: 2 },
  { maxEntries: Number.POSITIVE_INFINITY },
  { maxBytes: 0 },
  { copy: "deep" },
  { loadTimeoutMs: Number.NaN },
  { retryMs: -1 },
  { absentMs: -1 },
  { errorMs: -1 },
  { maxTags: 0 },
  { remote: {} },
  { remote: { redis: { command: nothing } } },
  { version: -1 },
  { codec: {} },
  { schema: 1 },
  { compressAboveBytes: -1 },
  { maxValueBytes: 0 },
  { waitMs: Number.NaN },
  { maxOwed: 0 },
];
const DISK: readonly Wrong[] = [
  { path: "" },
  { path: undefined },
  { minFreeBytes: -1 },
  { minFreeShare: 2 },
  { minFreeBytes: 2, warnFreeBytes: 1 },
];
const MEMORY: readonly Wrong[] = [
  { maxRssBytes: Number.NaN },
  { maxShare: 0 },
  { maxHeapShare: "1" },
  { maxShare: 0.5, warnShare: 0.6 },
];
const LOOP: readonly Wrong[] = [{ maxDelayMs: Number.NaN }, { maxDelayMs: "1s" }, { maxDelayMs: 5, warnDelayMs: 6 }];

const REPORTER = { reporter: { report: nothing } };
const AUDIT = { sink: { kind: "none", open: nothing, append: nothing }, actions: ["a"] };
const WRONG_AUDIT: readonly Wrong[] = [
  { sink: {} },
  { actions: [] },
  { durability: "maybe" },
  { seal: {} },
  { events: ["x"] },
  { actor: "x" },
  { maxPending: 0 },
  { retention: {} },
  { anchors: { keep: 1 } },
];

const GRPC = { address: "127.0.0.1:1", plaintext: true };

/** What comes from a request. */
const fromRequest: Readonly<Record<string, Entry>> = {
  apiKey: { call: (options) => server.from.apiKey("header", "x-key", options), wrong: [{ autoError: "no" }] },
  basic: { call: (options) => server.from.basic(options), wrong: [{ realm: 5 }] },
  bearer: {
    call: (options) => server.from.bearer(options),
    wrong: [{ bearerFormat: 5 }, { realm: "x" }, { missing: { status: 500 } }],
  },
  digest: { call: (options) => server.from.digest(options), wrong: [{ name: "" }] },
  httpAuthorization: { call: (options) => server.from.httpAuthorization("hoba", options), wrong: [{ name: 5 }] },
  oauth2: { call: (options) => server.from.oauth2({}, options), wrong: [{ description: 5 }] },
  oauth2Password: { call: (options) => server.from.oauth2Password("token", options), wrong: [{ scopes: ["a"] }] },
  oauth2AuthorizationCode: {
    call: (options) => server.from.oauth2AuthorizationCode({ authorizationUrl: "a", tokenUrl: "t" }, options),
    wrong: [{ scopes: "a" }],
  },
  openIdConnect: { call: (options) => server.from.openIdConnect("https://x", options), wrong: [{ autoError: 1 }] },
  passwordForm: { call: (options) => server.from.passwordForm(options), wrong: [{ strict: "yes" }] },
  query: { call: (options) => server.from.query("a", { type: "string" }, options), wrong: [{ required: "no" }] },
  header: { call: (options) => server.from.header("a", { type: "string" }, options), wrong: [{ inDocument: 1 }] },
  cookie: { call: (options) => server.from.cookie("a", { type: "string" }, options), wrong: [{ description: 1 }] },
  path: { call: (options) => server.from.path("a", { type: "string" }, options), wrong: [{ required: 1 }] },
  body: { call: (options) => server.from.body("a", { type: "string" }, options), wrong: [{ required: 1 }] },
  form: { call: (options) => server.from.form("a", { type: "string" }, options), wrong: [{ required: 1 }] },
  file: { call: (options) => server.from.file("a", options), wrong: [{ required: 1 }, { stream: "memory" }] },
  files: { call: (options) => server.from.files("a", options), wrong: [{ maxBytes: 0 }, { stream: "handler" }] },
  scheme: {
    call: (options) =>
      server.from.scheme("own", { document: { type: "http", scheme: "own" }, read: () => "x" }, options),
    wrong: [{ autoError: 1 }, { missing: { answer: "no" } }],
  },
};

/** What a handler returns to answer part by part; the same on every server. */
const streamed: Entry = {
  call: (options) => server.stream([], options),
  wrong: [{ contentType: 5 }, { headers: { a: 1 } }],
};

/** Stores of answers; the same on every server. */
const idempotencyStores: Readonly<Record<string, Entry>> = {
  memoryIdempotency: { call: (options) => server.memoryIdempotency(options), wrong: [{ maxKeys: 0 }, { clock: {} }] },
  redisIdempotency: {
    call: (options) => server.redisIdempotency({ redis: { script: nothing } as never, ...(options as object) }),
    wrong: [{ redis: {} }, { prefix: 5 }],
  },
  sqlIdempotency: {
    call: (options) => server.sqlIdempotency({ sql: { query: nothing } as never, ...(options as object) }),
    wrong: [{ sql: {} }, { table: "a; b" }],
  },
};

/** The error that is an answer; the same on every server. */
const httpError: Entry = {
  call: (options) => {
    throw new server.HttpError(404, "x", options);
  },
  wrong: [{ headers: { a: 1 } }, { headers: { a: "one\ntwo" } }, { code: 5 }, { members: 5 }],
};

export const entryPoints: Readonly<Record<string, EntryPoint>> = {
  "@steward/core": {
    module: core,
    takes: {
      resource: {
        call: (options) => resource("a", { start: () => 1, ...(options as object) }),
        wrong: [
          ...SETTINGS,
          { lifetime: "requst" },
          { start: undefined },
          { start: 1 },
          { run: 1 },
          { probe: "x" },
          { restart: "now" },
          { startRetry: { maxAttempts: 0 } },
          { startRetry: { attempts: 3 } },
          { rerun: { maxReruns: 1 } },
          { lifetime: "request", criticality: "optional" },
        ],
      },
      input: {
        call: (options) => core.input<number>()("a", options),
        wrong: [{ lifetime: "transient" }, { lifetime: 5 }],
      },
      Guard: {
        call: (options) => new core.Guard({ resource: "x", clock: core.systemClock, ...(options as object) }),
        wrong: [
          ...DURATIONS,
          { timeout: 5 },
          { breaker: { falureRatio: 5 } },
          { breaker: { consecutiveFailures: -1 } },
          { retry: { maxAttempts: 0 } },
          { clock: undefined },
        ],
      },
      guarded: {
        call: (options) => core.guarded({}, () => 1, options),
        wrong: [...DURATIONS, { signal: {} }, { idempotent: "yes" }],
      },
      cached: {
        call: (options) => core.cached(one, { ttlMs: 1, ...(options as object) }),
        wrong: [{ ttlMs: 0 }, { ttlMs: "1" }, { max: 2 }, { key: one }],
      },
    },
    none: [
      "fromConfig", // its factories check what they are given
      "afterReply current currentContext fallback fresh generator grpcStatusOf httpStatusOf isRetryable isStewardError lazy",
      "optional publicError runWithContext setActor Secret StewardError when",
    ],
  },
  "@steward/core/driver": {
    module: coreDriver,
    takes: {},
    none: [
      "anything assertShape brand breakerSchema callRules certNeedsKey checkOptions checkShape countSchema defineDriver defineTestDriver optionsWithout",
      "describeError eitherSchema flag func funcOr functionSchema givenSchema hasAny hasMethods isFunction isHostAmong isLoopback isPlainObject isStandardSchema listOf",
      "literalOr maskUrl sqlKeyword tablesOnce claimDatabase environmentMismatch environmentSchema inEnvironment milliseconds msSchema nearest notForUsers oneOf outcomeUnknown parseOptions pemSchema",
      "publishConfig keyUsesAreHeard publishAuth publishKey publishKeyUse publishRequest publishServing publishUnhandled heardCall outsideRequests soundContext soundTraceparent requestsAreHeard recognised rulesBetween recordOf required rule ruleSchema secretSchema shape shareSchema signal",
      "aborted backendsAtWork backoffMs answerJson bearerCheck operatorDoor operatorToken clientNetwork connectTls describeConnectError reconnectSchema tlsFor tlsSchema tlsSettingsSchema answerOtherUpgrades",
      "isLoginRefused isWriteRefused connectionSeries parsePostgresUrl poolerAdvice postgresEntries postgresUrlProblem postgresUrlSchema tlsModeOf UrlProblem",
      "isGivenUp lastBytes sleepOn stewardErrorIn text textSchema timingWheelOf usualVerdict wholeNumber withMethods withTimeout",
      "ConnectionWatch Exposures GuardedUse Histogram Lookout Manager OptionsError SilenceWatch TimeoutReached TimerEntry TimingWheel",
    ],
  },
  "@steward/core/container": {
    module: coreContainer,
    takes: {},
    none: [
      "defaultsShape edgeOf guardValue isDefinition isHeard isThenable needOf originOf outsideRequests plainValue publishEvent",
      "rootsOf sharedAbortController specOf variantOf withRoots Lifecycle",
      "answerJson assertShape backoffMs bearerCheck brand checkShape describeError nearest operatorDoor operatorToken timingWheelOf withJitter withTimeout",
      "flag func funcOr listOf literalOr milliseconds oneOf recognised recordOf required shape signal text wholeNumber withMethods",
      "OptionsError TimeoutReached TimerEntry",
      "BaseManager HealthTracker LazyAbort ProbeScheduler", // a container has checked what it hands to these
    ],
  },
  "@steward/core/checks": {
    module: coreChecks,
    takes: {
      diskSpace: driver(coreChecks.diskSpace, { path: "." }, DISK),
      DiskSpaceManager: manager(coreChecks.DiskSpaceManager, { path: "." }, DISK),
      memoryUse: driver(coreChecks.memoryUse, {}, MEMORY),
      MemoryUseManager: manager(coreChecks.MemoryUseManager, {}, MEMORY),
      eventLoop: driver(coreChecks.eventLoop, {}, LOOP),
      EventLoopManager: manager(coreChecks.EventLoopManager, {}, LOOP),
    },
    none: [],
  },
  "@steward/core/adaptive-limit": {
    module: coreAdaptiveLimit,
    takes: {
      adaptiveLimit: {
        call: (options) =>
          coreAdaptiveLimit.adaptiveLimit(new core.Guard({ resource: "r", clock: core.systemClock }), options),
        wrong: [{ min: 0 }, { min: 5, max: 4 }, { everyMs: "1" }],
      },
    },
    none: [],
  },
  "@steward/core/batch": {
    module: coreBatch,
    takes: {
      batch: { call: (options) => coreBatch.batch((items: readonly number[]) => items, options), wrong: [{ max: 0 }] },
      "batch.call": {
        call: (options) => coreBatch.batch((items: readonly number[]) => items)(1, options),
        wrong: [{ timeoutMs: -1 }],
      },
    },
    none: [],
  },
  "@steward/core/worker": {
    module: coreWorker,
    takes: {
      startWorker: {
        call: (options) => coreWorker.startWorker(new URL("file:///missing.js"), options),
        wrong: [{ isolation: "fork" }],
      },
    },
    none: ["serveWorker"],
  },
  "@steward/core/testing": { module: coreTesting, takes: {}, none: ["FakeClock"] },
  "@steward/container": {
    module: containers,
    takes: {
      container: {
        call: (options) => container([one], options),
        wrong: [
          { startTimeoutMs: Number.NaN },
          { health: { interval: 5 } },
          { health: { intervalMs: 0 } },
          { defaults: { timeout: 5 } },
          { defaults: { retry: { maxAttempts: 0 } } },
          { defaults: { metrics: 1 } },
          { sessions: { maxx: 5 } },
          { sessions: { idleTimeoutMs: -1 } },
          { clock: 5 },
        ],
      },
      "container.start": { call: (options) => container([one]).start([], options), wrong: [{ signal: {} }] },
      "running.stop": { call: (options) => running((up) => up.stop(options)), wrong: DURATIONS },
      healthEndpoints: {
        call: (options) => running((up) => containers.healthEndpoints(up, options)),
        wrong: [{ detials: true }, { retryAfterMs: Number.NaN }, { token: 5 }],
      },
      serveManagement: {
        call: (options) => running((up) => containers.serveManagement(up, options)),
        wrong: [{ prot: 1 }, { port: "80" }, { routes: { "/a": 1 } }],
      },
      runMain: {
        call: (options) => containers.runMain(container([one]), options),
        wrong: [
          { shutdownTimeoutMs: Number.NaN },
          { shutdownDelayMs: "5s" },
          { onHangup: "restart" },
          { logger: console.log },
          { clock: {} },
        ],
      },
      explain: { call: (options) => containers.explain(container([one]), options), wrong: [] },
    },
    none: ["StartError StopError"],
  },
  "@steward/container/profile": {
    module: profiles,
    takes: {
      profileRoute: {
        call: (options) => profiles.profileRoute({ token: "h4nd-m4de-t0ken-0", ...(options as object) }),
        wrong: [{ token: "short" }, { maxMs: 0 }, { maxBytes: 0 }, { snapshot: 1 }],
      },
      profiled: { call: (options) => profiles.profiled(nothing, options), wrong: [{ intervalMs: 0 }, { top: 0 }] },
      slowCalls: {
        call: (options) => profiles.slowCalls({ overMs: 1, report: nothing, ...(options as object) })[Symbol.dispose](),
        wrong: [{ overMs: "x" }, { report: 1 }, { maxPerMinute: 0 }],
      },
      longTurns: {
        call: (options) => profiles.longTurns({ report: nothing, ...(options as object) })[Symbol.asyncDispose](),
        wrong: [{ overMs: 1 }, { report: 1 }, { frames: 1 }],
      },
    },
    none: [],
  },
  "@steward/container/worker-pool": {
    module: workerPools,
    takes: {
      workerPool: {
        call: (options) =>
          started(workerPools.workerPool("x", { module: new URL("file:///x.js"), ...(options as object) })),
        wrong: [...SETTINGS, { size: 0 }, { module: "x" }, { isolation: "none" }, { interruptible: 1 }],
      },
      WorkerPoolManager: {
        call: (options) =>
          new workerPools.WorkerPoolManager({ module: new URL("file:///x.js"), ...(options as object) }),
        wrong: [{ size: 0 }, { module: "x" }, { maxPending: -1 }, { timeoutMs: "5s" }],
      },
    },
    none: [],
  },
  "@steward/container/framework": {
    module: framework,
    takes: {},
    none: ["PreparedNeeds announceShutdown containersUp definitionsHeld followValue onContainerUp"],
  },
  "@steward/http": {
    module: http,
    takes: {
      httpSession: driver(http.httpSession, {}, [...DURATIONS, { breaker: { failRatio: 1 } }, { maxConnections: 0 }]),
      HttpSessionManager: manager(http.HttpSessionManager, {}, [...DURATIONS, { retry: { maxAttempts: 0 } }]),
    },
    none: ["leadsInside"],
  },
  "@steward/http/fetch": {
    module: httpFetch,
    takes: {
      fetchOver: {
        call: (options) => httpFetch.fetchOver(httpTesting.testHttp({}).client)("http://a.example", options),
        wrong: [...DURATIONS, { redirect: "no" }, { signal: 1 }],
      },
    },
    none: [],
  },
  "@steward/http/testing": {
    module: httpTesting,
    takes: {
      testHttp: { call: (options) => httpTesting.testHttp(options), wrong: DURATIONS },
    },
    none: ["MockAgent TestHttpManager"],
  },
  "@steward/redis": {
    module: redis,
    takes: {
      redisPool: driver(redis.redisPool, {}, [...DURATIONS, { db: 1.5 }]),
      RedisPoolManager: manager(redis.RedisPoolManager, {}, [...DURATIONS, { maxPending: -1 }]),
    },
    none: ["RedisClient redisPubSub redisRunner redisUrlProblem"],
  },
  "@steward/redis/cluster": {
    module: redisCluster,
    takes: {
      redisCluster: driver(redisCluster.redisCluster, { cluster: [{ host: "x" }] }, DURATIONS),
      RedisClusterManager: manager(redisCluster.RedisClusterManager, { cluster: [{ host: "x" }] }, DURATIONS),
    },
    none: ["RedisClusterClient"],
  },
  "@steward/redis/testing": {
    module: redisTesting,
    takes: { testRedis: { call: (options) => redisTesting.testRedis(options), wrong: [] } },
    none: [],
  },
  "@steward/database": {
    module: database,
    takes: {
      databasePool: driver(database.databasePool, { url: "postgres://x/y" }, [{ timeoutMs: Number.NaN }, { max: 3 }]),
      DatabasePoolManager: manager(database.DatabasePoolManager, { url: "postgres://x/y" }, [{ timeoutMs: "5s" }]),
      begin: { call: (options) => database.begin(idleDatabase(), options), wrong: [{ isolationLevel: "none" }] },
      migrate: { call: (options) => database.migrate(options as never), wrong: [{ timeoutMs: "5s" }] },
      transaction: {
        call: (options) => database.transaction(idleDatabase(), async () => 1, options),
        wrong: [{ retry: { maxAttempts: 0 } }, { retry: { attempts: 2 } }],
      },
    },
    none: ["databaseUrlProblem pubSub replica sqlRunner"],
  },
  "@steward/database/kysely": { module: databaseKysely, takes: {}, none: ["kysely"] },
  "@steward/database/testing": {
    module: databaseTesting,
    takes: { testDatabase: { call: (options) => databaseTesting.testDatabase(options), wrong: [] } },
    none: [],
  },
  "@steward/websocket": {
    module: websocket,
    takes: {
      webSocketSession: driver(websocket.webSocketSession, { url: "ws://x" }, DURATIONS),
      WebSocketSessionManager: manager(websocket.WebSocketSessionManager, { url: "ws://x" }, DURATIONS),
    },
    none: ["WebSocketClient WebSocketSession"],
  },
  "@steward/websocket/hub": {
    module: websocketHub,
    takes: {
      webSocketHub: driver(websocketHub.webSocketHub, {}, [{ heartbeatMs: Number.NaN }, { path: "x" }]),
      WebSocketHubManager: manager(websocketHub.WebSocketHubManager, {}, [{ heartbeatMs: "5s" }]),
    },
    none: ["HubSocket WebSocketHub"],
  },
  "@steward/websocket/testing": {
    module: websocketTesting,
    takes: { testHub: { call: (options) => websocketTesting.testHub(options), wrong: [] } },
    none: ["TestHubManager"],
  },
  "@steward/grpc": {
    module: grpc,
    takes: {
      grpcChannel: driver(grpc.grpcChannel as never, GRPC, [...DURATIONS, { keepAliveMs: 0 }]),
      GrpcChannelManager: manager(grpc.GrpcChannelManager as never, GRPC, DURATIONS),
      GrpcStatusError: {
        call: (options) => {
          throw new grpc.GrpcStatusError("NOT_FOUND", "x", options);
        },
        wrong: [{ retryAfterMs: Number.NaN }, { metadata: { a: 1 } }],
      },
      checkHealth: { call: (options) => grpc.checkHealth({} as never, "", options), wrong: DURATIONS },
      watchHealth: { call: (options) => grpc.watchHealth({} as never, "", options).next(), wrong: [{ signal: 1 }] },
      grpcServer: driver(grpc.grpcServer as never, { services: [] }, DURATIONS),
      GrpcServerManager: manager(grpc.GrpcServerManager as never, { services: [] }, DURATIONS),
    },
    none: ["GrpcChannel GrpcServer implement loadProto statusDetails"],
  },
  "@steward/grpc/testing": {
    module: grpcTesting,
    takes: {
      testGrpcServer: { call: (options) => grpcTesting.testGrpcServer(options), wrong: DURATIONS },
      testGrpcChannel: { call: (options) => grpcTesting.testGrpcChannel(options), wrong: DURATIONS },
    },
    none: [],
  },
  "@steward/config": {
    module: config,
    takes: {
      ConfigManager: {
        call: (options: object) => new config.ConfigManager({ schema: settings, sources: [], ...options } as never),
        wrong: [
          { schema: 1 },
          { sources: [1] },
          { live: 1 },
          { onChange: "x" },
          { watch: { pollMs: 0 } },
          { readTimeoutMs: 0 },
        ],
      },
      config: {
        call: (options: object) => config.config("x", { schema: settings, sources: [], ...options } as never),
        wrong: [{ schema: 1 }, { sources: 1 }, { watch: 1 }],
      },
      env: { call: (options) => config.env({}, options), wrong: [{ prefix: 1 }, { ignore: 1 }] },
      jsonFile: { call: (options) => config.jsonFile("x", options), wrong: [{ optional: 1 }, { profile: 1 }] },
      yamlFile: { call: (options) => config.yamlFile("x", options), wrong: [{ optional: 1 }, { profile: 1 }] },
      dotenvFile: { call: (options) => config.dotenvFile("x", options), wrong: [{ optional: 1 }, { prefix: 1 }] },
      secretFiles: { call: (options) => config.secretFiles("x", options), wrong: [{ names: 1 }, { ignore: 1 }] },
      source: {
        call: (options: object) => config.source("x", { read: () => ({}), ...options }),
        wrong: [{ read: 1 }, { files: 1 }],
      },
      duration: { call: (options) => config.duration(options), wrong: [{ least: "x" }, { most: -1 }] },
      bytes: { call: (options) => config.bytes(options), wrong: [{ least: "x" }, { most: -1 }] },
      url: { call: (options) => config.url(options), wrong: [{ protocols: 1 }] },
      text: { call: (options) => config.text(options), wrong: [{ empty: 1 }] },
      secret: { call: (options) => config.secret(options), wrong: [{ minBytes: 0 }, { protocols: 1 }] },
      runConfigCommand: {
        call: (options) =>
          config.runConfigCommand(config.config("x", { schema: settings, sources: [] }), ["schema"], options),
        wrong: [{ needs: 1 }, { write: 1 }],
      },
    },
    none: ["count describe envName isConfig overrides port section"],
  },
  "@steward/config/testing": { module: configTesting, takes: {}, none: ["testConfig"] },
  "@steward/cache": {
    module: cache,
    takes: {
      CacheManager: manager(cache.CacheManager as never, {}, CACHE),
      cache: driver(cache.cache(), {}, CACHE),
    },
    none: ["CACHE_CODES"],
  },
  "@steward/cache/testing": {
    module: cacheTesting,
    takes: {
      testCache: { call: (options: object) => started(cacheTesting.testCache("x", options)), wrong: CACHE },
    },
    none: ["cacheContract"],
  },
  "@steward/logging": {
    module: logging,
    takes: {
      LoggerManager: {
        call: (options) => new logging.LoggerManager(options),
        wrong: [
          { level: "loud" },
          { destination: {} },
          { fields: { x: {} } },
          { redact: "x" },
          { show: [1] },
          { listen: ["x"] },
          { storms: { above: 0 } },
          { storms: { withinMs: 0 } },
          { buffered: { flushMs: 0 } },
          { calls: { share: 2 } },
        ],
      },
      ErrorReporterManager: manager(logging.ErrorReporterManager, REPORTER, [{ reporter: {} }, { withinMs: 0 }]),
      errorReporter: driver(logging.errorReporter, REPORTER, [{ maxPending: 0 }, { redact: "x" }]),
      levelRoute: {
        call: (options: object) => logging.levelRoute(() => undefined, { token: "h4nd-m4de-t0ken-0", ...options }),
        wrong: [{ token: "short" }, { maxMs: 0 }],
      },
      logger: {
        call: (options: object) => started(logging.logger("x", options)),
        wrong: [{ level: "loud" }, { storms: { abvoe: 1 } }],
      },
    },
    none: [],
  },
  "@steward/models": {
    module: models,
    takes: {
      model: driver(models.model, { source: { file: "a.onnx" } }, SERVING),
      ModelManager: manager(models.ModelManager, { source: { file: "a.onnx" } }, SERVING),
      modelCatalog: driver(models.modelCatalog, { folder: ".", budgetBytes: 1 }, SERVING),
      CatalogManager: manager(models.CatalogManager, { folder: ".", budgetBytes: 1 }, SERVING),
    },
    none: [],
  },
  "@steward/models/grpc": {
    module: modelsGrpc,
    takes: {
      grpcModel: driver(modelsGrpc.grpcModel as never, GRPC_MODEL, GRPC_REMOTE),
      GrpcModelManager: manager(modelsGrpc.GrpcModelManager as never, GRPC_MODEL, GRPC_REMOTE),
      inferenceService: { call: (options) => modelsGrpc.inferenceService({}, options), wrong: [{ isReady: true }] },
    },
    none: [],
  },
  "@steward/models/remote": {
    module: modelsRemote,
    takes: {
      remoteModel: driver(modelsRemote.remoteModel, { url: "https://h" }, REMOTE),
      RemoteModelManager: manager(modelsRemote.RemoteModelManager, { url: "https://h" }, REMOTE),
    },
    none: [],
  },
  "@steward/models/serve": {
    module: modelsServe,
    takes: {
      inferenceHandler: {
        call: (options) => modelsServe.inferenceHandler({}, options),
        wrong: [{ maxBytes: 0 }, { isReady: true }],
      },
    },
    none: [],
  },
  "@steward/models/testing": {
    module: modelsTesting,
    takes: { testModel: { call: (options: object) => modelsTesting.testModel(options), wrong: [{ maxBatch: 0 }] } },
    none: ["onnxModel"],
  },
  "@steward/pg": {
    module: pg,
    takes: {
      PgPoolManager: {
        call: (options) => new pg.PgPoolManager(options),
        wrong: [
          { url: "x" },
          { host: "" },
          { port: 0 },
          { user: "" },
          { password: 1 },
          { database: "" },
          { tls: "x" },
          { tls: { rejectUnauthorised: false } },
          { tls: { cert: "x" } },
          { client: {} },
          { maxConnections: 0 },
          { maxPending: -1 },
          { breaker: { x: 1 } },
          { acquireTimeoutMs: 0 },
          { timeoutMs: Number.NaN },
          { connectTimeoutMs: 0 },
          { silenceMs: -1 },
          { idleConnectionTimeoutMs: "1s" },
          { maxLifetimeMs: -1 },
          { transactionTimeoutMs: -1 },
          { statementTimeoutMs: -1 },
          { applicationName: 1 },
          { types: {} },
          { onConnect: 1 },
        ],
      },
      pgPool: { call: (options: object) => started(pg.pgPool("x", options)), wrong: [{ maxConnections: 0 }] },
    },
    none: [],
  },
  "@steward/pg/testing": {
    module: pgTesting,
    takes: {
      testPg: {
        call: (options: object) => pgTesting.testPg({ url: "postgres://h/d", ...options }),
        wrong: [{ port: 1 }],
      },
    },
    none: [],
  },
  "@steward/auth": {
    module: auth,
    takes: {
      AuthenticationManager: {
        call: (options: object) => new auth.AuthenticationManager({ ...signing, ...options }),
        wrong: [
          { issuer: "" },
          { audience: 1 },
          { keys: {} },
          { accessTtlMs: 1 },
          { clockToleranceMs: Number.NaN },
          { maxVerified: -1 },
          { verifiedMs: 0 },
          { issuers: { "A b": {} } },
          { timeoutMs: 0 },
          { fetch: 1 },
          { refresh: { store: {}, mac: {} } },
          { apiKeys: { store: {} } },
          { users: {} },
          { sessions: { store: {} } },
          { passwords: { users: {}, hashing: {}, limiter: {}, mac: {} } },
          { revocation: "never" },
          { revocationCacheMs: -1 },
        ],
      },
      memoryFamilies: {
        call: (options: object) => auth.memoryFamilies(options),
        wrong: [{ maxFamilies: 0 }, { clock: {} }],
      },
      roles: {
        call: (options: object) => auth.roles({ a: ["x"] }, options),
        wrong: [{ permissions: ["*"] }, { permissions: 1 }, { policies: { x: 1 } }],
      },
      memorySessions: {
        call: (options: object) => auth.memorySessions(options),
        wrong: [{ maxSessions: 0 }, { clock: {} }],
      },
      sqlSessions: {
        call: (options: object) =>
          auth.sqlSessions({ sql: { query: nothing, transaction: nothing }, ...options } as never),
        wrong: [{ sql: {} }, { prefix: "a b" }],
      },
      memoryApiKeys: {
        call: (options: object) => auth.memoryApiKeys(options),
        wrong: [{ maxKeys: 0 }, { clock: {} }],
      },
      sqlApiKeys: {
        call: (options: object) => auth.sqlApiKeys({ sql: { query: nothing }, ...options } as never),
        wrong: [{ sql: {} }, { prefix: "a b" }],
      },
      redisSessions: {
        call: (options: object) => auth.redisSessions({ redis: { script: nothing }, ...options } as never),
        wrong: [{ redis: {} }, { prefix: "no tag:" }],
      },
      redisFamilies: {
        call: (options: object) => auth.redisFamilies({ redis: { script: nothing }, ...options } as never),
        wrong: [{ redis: {} }, { prefix: "no tag:" }],
      },
      sqlFamilies: {
        call: (options: object) =>
          auth.sqlFamilies({ sql: { query: nothing, transaction: nothing }, ...options } as never),
        wrong: [{ sql: {} }, { prefix: "a b" }],
      },
      authentication: {
        call: (options: object) => started(auth.authentication("x", { ...signing, ...options })),
        wrong: [{ issuer: "" }, { keys: {} }],
      },
    },
    none: [],
  },
  "@steward/auth/oidc": {
    module: authOidc,
    takes: {
      oidcSignIn: {
        call: (options: object) =>
          authOidc.oidcSignIn({
            issuer: "https://id.example",
            clientId: "a",
            redirectUri: "https://a.example/back",
            sealing: { encrypt: nothing, decrypt: nothing },
            ...options,
          } as never),
        wrong: [
          { issuer: "http://id.example" },
          { issuer: "https://a:b@id.example" },
          { clientId: "" },
          { clientSecret: 1 },
          { redirectUri: "https://a.example/back?x=1" },
          { sealing: {} },
          { scopes: ["a b"] },
          { timeoutMs: 0 },
          { stateTtlMs: 1 },
          { fetch: 1 },
          { clock: {} },
        ],
      },
    },
    none: [],
  },
  "@steward/auth/testing": {
    module: authTesting,
    takes: {
      testAuthentication: {
        call: (options: object) => started(authTesting.testAuthentication("x", options)),
        wrong: [{ issuer: "" }, { keys: {} }],
      },
    },
    none: ["signedIn", "testTokenKeys", "testTokenMac"],
  },
  "@steward/rate-limit": {
    module: rateLimit,
    takes: {
      RateLimiterManager: {
        call: (options: object) => new rateLimit.RateLimiterManager({ policies: { api: "5/minute" }, ...options }),
        wrong: [
          { policies: {} },
          { policies: { api: "5" } },
          { policies: { api: { limit: Number.NaN, windowMs: 1 } } },
          { redis: {} },
          { prefix: "" },
          { timeoutMs: Number.NaN },
          { onUnavailable: "x" },
          { instances: 0 },
          { maxKeys: 0 },
          { clock: "x" },
        ],
      },
      rateLimiter: {
        call: (options: object) => started(rateLimit.rateLimiter("x", { policies: { api: "5/minute" }, ...options })),
        wrong: [{ policies: {} }, { timeoutMs: -1 }],
      },
    },
    none: ["parseRate"],
  },
  "@steward/rate-limit/testing": {
    module: rateLimitTesting,
    takes: {},
    none: ["rateLimiterContract testRateLimiter"],
  },
  "@steward/training": {
    module: training,
    takes: {
      GradientAccumulator: {
        call: (options: object) => new training.GradientAccumulator(options),
        wrong: [{ steps: 0 }, { clipNorm: 0 }, { clipNorm: Number.NaN }, { skipNonFinite: 1 }],
      },
      TrainerManager: manager(training.TrainerManager, TRAINER, WRONG_TRAINER),
      dataParallelTrainer: driver(training.dataParallelTrainer, TRAINER, WRONG_TRAINER),
      RunLogManager: manager(training.RunLogManager, { folder: "." }, [{ folder: "" }]),
      runLog: driver(training.runLog, { folder: "." }, [{ folder: 1 }]),
      denseOutputs: {
        call: (options: object) => training.denseOutputs({ ...DENSE, ...options }, {}, new Float32Array(1)),
        wrong: WRONG_DENSE,
      },
    },
    none: ["assertEngine", "autocast", "multiGpuTrainer"],
  },
  "@steward/training/onnx": {
    module: trainingOnnx,
    takes: {
      denseOnnx: {
        call: (options: object) => trainingOnnx.denseOnnx(DENSE, {}, options),
        wrong: [{ name: "" }, { input: 1 }, { output: "input" }],
      },
    },
    none: [],
  },
  "@steward/training/tfjs": {
    module: trainingTfjs,
    takes: {
      denseNetwork: {
        call: (options: object) => trainingTfjs.denseNetwork({ ...DENSE, loss: "meanSquaredError", ...options }),
        wrong: [...WRONG_DENSE, { loss: "mse" }],
      },
      tfjsNetwork: {
        call: (options: object) => trainingTfjs.tfjsNetwork({ parameters: [], loss: nothing, ...options } as never),
        wrong: [{ parameters: 1 }, { parameters: [1] }, { loss: 1 }],
      },
    },
    none: ["applyGradients"],
  },
  "@steward/training/testing": { module: trainingTesting, takes: {}, none: ["testTrainer"] },
  "@steward/logging/audit": {
    module: audit,
    takes: {
      AuditLogManager: manager(audit.AuditLogManager, AUDIT, WRONG_AUDIT),
      auditLog: driver(audit.auditLog, AUDIT, WRONG_AUDIT),
      fileAudit: {
        call: (options: object) => audit.fileAudit({ path: "audit.jsonl", ...options }),
        wrong: [{ path: 1 }, { maxBytes: 0 }],
      },
      logAudit: {
        call: (options: object) => audit.logAudit({ destination: { write: nothing }, ...options }),
        wrong: [{ destination: {} }, { chain: 1 }],
      },
      sqlAudit: {
        call: (options: object) =>
          audit.sqlAudit({ sql: { query: nothing, transaction: nothing }, ...options } as never),
        wrong: [{ sql: 1 }, { table: "a; b" }],
      },
      verifyEntries: {
        call: (options: object) => audit.verifyEntries([], options),
        wrong: [{ seal: {} }, { anchors: [1] }, { ends: {} }],
      },
    },
    none: ["readAuditLine"],
  },
  "@steward/logging/testing": { module: loggingTesting, takes: {}, none: ["memoryLog"] },
  "@steward/crypto": {
    module: crypto,
    takes: {
      cryptoBackend: driver(crypto.cryptoBackend, {}, [...DURATIONS, { keysets: { a: { algorithm: "rot13" } } }]),
      CryptoBackendManager: manager(crypto.CryptoBackendManager, {}, DURATIONS),
      fileStore: {
        call: (options: object) => crypto.fileStore({ directory: "d", ...options }),
        wrong: [{ directory: 1 }],
      },
      sqlStore: {
        call: (options: object) => crypto.sqlStore({ sql: { query: nothing }, ...options } as never),
        wrong: [{ sql: 1 }, { table: 1 }, { pubSub: {} }],
      },
      redisStore: {
        call: (options: object) =>
          crypto.redisStore({ redis: { command: nothing, script: nothing }, ...options } as never),
        wrong: [{ redis: 1 }, { prefix: 1 }, { pubSub: {} }],
      },
      keyKek: {
        call: (options: object) => crypto.keyKek({ key: new Uint8Array(32), ...options }),
        wrong: [{ key: 1 }, { id: 1 }],
      },
      passphraseKek: {
        call: (options: object) => crypto.passphraseKek({ passphrase: "a long enough one", ...options }),
        wrong: [{ passphrase: 1 }, { logN: Number.NaN }, { id: 1 }],
      },
    },
    none: [
      "AeadKeyset CryptoBackend HybridKeyset KeysetControl KeysetUser MacKeyset PasswordHasher SignatureKeyset",
      "SigningKeyset StreamKeyset TokenKeyset memoryStore",
    ],
  },
  "@steward/crypto/pki": {
    module: pki,
    takes: {
      CertificateAuthority: {
        call: (options: object) => pki.CertificateAuthority.create({ commonName: "ca", ...options }),
        wrong: [{ commonName: 1 }, { key: "rot13" }],
      },
      createRequest: {
        call: (options: object) => pki.createRequest({ commonName: "a", ...options }),
        wrong: [{ commonName: 1 }, { names: "a" }, { key: "rot13" }],
      },
      exportPkcs12: {
        call: (options: object) =>
          pki.exportPkcs12({ privateKeyPem: "k", certificatePem: "c", ...options } as never, "x"),
        wrong: [{ privateKeyPem: 1 }],
      },
      importPkcs12: {
        call: (options) => pki.importPkcs12(new Uint8Array(1), "x", options),
        wrong: [{ maxIterations: Number.NaN }, { allowMissingMac: 1 }],
      },
      signPkcs7: {
        call: (options: object) =>
          pki.signPkcs7(new Uint8Array(1), { privateKeyPem: "k", certificatePem: "c", ...options } as never),
        wrong: [{ detached: 1 }, { chainPem: "c" }],
      },
    },
    none: ["bundlePkcs7 certificatesInPkcs7"],
  },
  "@steward/crypto/testing": {
    module: cryptoTesting,
    takes: { testCrypto: { call: (options) => cryptoTesting.testCrypto(options), wrong: DURATIONS } },
    none: [],
  },
  "@steward/fastify": {
    module: plugin,
    takes: {
      cookieSession: {
        call: (options: object) => plugin.cookieSession(authenticator, options),
        wrong: [{ name: "a b" }, { sameSite: "None" }, { secure: 1 }],
      },
      sessionPrincipal: {
        call: (options: object) => plugin.sessionPrincipal(plugin.cookieSession(authenticator), options),
        wrong: [{ name: "" }, { autoError: 1 }],
      },
      recent: {
        call: (options: object) =>
          plugin.recent(plugin.sessionPrincipal(plugin.cookieSession(authenticator)), { withinMs: 1_000, ...options }),
        wrong: [{ withinMs: 1 }],
      },
      csrf: {
        call: (options: object) => plugin.csrf(options),
        wrong: [{ cookies: [""] }, { origins: ["clips.example"] }, { allowSameSite: 1 }],
      },
      principal: {
        call: (options: object) => plugin.principal(authenticator, options),
        wrong: [{ name: "" }, { autoError: 1 }, { session: {} }],
      },
      permitted: permittedBy(plugin.permitted as never),
      shedding: { call: (options) => plugin.shedding(options), wrong: WRONG_SHEDDING },
      rateLimit: {
        call: (options: object) => plugin.rateLimit(limited, "api", { by: plugin.by.address, ...options }),
        wrong: [{ by: {} }, { cost: 0 }, { cost: Number.NaN }, { legacyHeaders: 1 }],
      },
      steward: {
        call: (options) => registered({ container: container([one]), ...(options as object) }),
        wrong: [
          ...DURATIONS,
          { closeTimeoutMs: "x" },
          { maxConnections: 0 },
          { errors: { shape: "fastAPI" } },
          { openapi: { titel: "x", version: "1" } },
          { openapi: { title: "x", version: "1", tags: ["a"] } },
          { forms: { maxFiles: Number.NaN } },
          { accessLog: { quiet: true } },
          { metrics: { path: "/m" } },
          { container: undefined },
          { running: () => undefined },
        ],
      },
      fastifyServer: {
        call: (options) =>
          plugin.fastifyServer("s", { app: () => fastify(), listen: () => ({ port: 0 }), ...(options as object) }),
        wrong: [{ app: undefined }, { listen: { port: 1 } }],
      },
      FastifyServer: {
        call: (options) => plugin.FastifyServer.listen(fastify(), { port: 0, ...(options as object) }),
        wrong: [{ port: Number.NaN }, { port: "80" }, { host: 5 }],
      },
      handler: {
        call: (options) => plugin.handler({}, () => 1, options),
        wrong: [...DURATIONS, { idempotency: {} }, { idempotency: { store: server.memoryIdempotency(), ttl: 1 } }],
      },
      socketHandler: { call: (options) => plugin.socketHandler({}, () => 1, options), wrong: [{ parallel: "yes" }] },
      refusals: { call: (options) => plugin.refusals(options), wrong: [{ shape: "html" }, { requestId: true }] },
      HttpError: httpError,
      stream: streamed,
      ...idempotencyStores,
    },
    none: [
      "InvalidInput boundSession events Scopes SocketError depend parametrised perRequest security sessionCookie uuid7 withInputs",
    ],
  },
  "@steward/express": {
    module: expressPackage,
    takes: {
      cookieSession: {
        call: (options: object) => expressPackage.cookieSession(authenticator, options),
        wrong: [{ name: "a b" }, { sameSite: "None" }, { secure: 1 }],
      },
      sessionPrincipal: {
        call: (options: object) =>
          expressPackage.sessionPrincipal(expressPackage.cookieSession(authenticator), options),
        wrong: [{ name: "" }, { autoError: 1 }],
      },
      recent: {
        call: (options: object) =>
          expressPackage.recent(expressPackage.sessionPrincipal(expressPackage.cookieSession(authenticator)), {
            withinMs: 1_000,
            ...options,
          }),
        wrong: [{ withinMs: 1 }],
      },
      csrf: {
        call: (options: object) => expressPackage.csrf(options),
        wrong: [{ cookies: [""] }, { origins: ["clips.example"] }, { allowSameSite: 1 }],
      },
      principal: {
        call: (options: object) => expressPackage.principal(authenticator, options),
        wrong: [{ name: "" }, { autoError: 1 }, { session: {} }],
      },
      permitted: permittedBy(expressPackage.permitted as never),
      shedding: { call: (options) => expressPackage.shedding(options), wrong: WRONG_SHEDDING },
      rateLimit: {
        call: (options: object) =>
          expressPackage.rateLimit(limited, "api", { by: expressPackage.by.address, ...options }),
        wrong: [{ by: {} }, { cost: 0 }, { legacyHeaders: 1 }],
      },
      steward: {
        call: (options) => expressPackage.steward(express(), { container: container([one]), ...(options as object) }),
        wrong: [...APP_SETTINGS, { container: undefined }, { running: () => undefined }],
      },
      expressServer: {
        call: (options) =>
          expressPackage.expressServer("s", {
            app: () => express(),
            listen: () => ({ port: 0 }),
            ...(options as object),
          }),
        wrong: [{ app: undefined }, { listen: { port: 1 } }, { requestTimeoutMs: 0 }],
      },
      handler: { call: (options) => expressPackage.handler({}, () => 1, options), wrong: DURATIONS },
      HttpError: httpError,
      stream: streamed,
    },
    none: ["InvalidInput Scopes boundSession events parametrised perRequest problems security sessionCookie"],
  },
  "@steward/hono": {
    module: honoPackage,
    takes: {
      cookieSession: {
        call: (options: object) => honoPackage.cookieSession(authenticator, options),
        wrong: [{ name: "a b" }, { sameSite: "None" }, { secure: 1 }],
      },
      sessionPrincipal: {
        call: (options: object) => honoPackage.sessionPrincipal(honoPackage.cookieSession(authenticator), options),
        wrong: [{ name: "" }, { autoError: 1 }],
      },
      recent: {
        call: (options: object) =>
          honoPackage.recent(honoPackage.sessionPrincipal(honoPackage.cookieSession(authenticator)), {
            withinMs: 1_000,
            ...options,
          }),
        wrong: [{ withinMs: 1 }],
      },
      csrf: {
        call: (options: object) => honoPackage.csrf(options),
        wrong: [{ cookies: [""] }, { origins: ["clips.example"] }, { allowSameSite: 1 }],
      },
      principal: {
        call: (options: object) => honoPackage.principal(authenticator, options),
        wrong: [{ name: "" }, { autoError: 1 }, { session: {} }],
      },
      permitted: permittedBy(honoPackage.permitted as never),
      shedding: { call: (options) => honoPackage.shedding(options), wrong: WRONG_SHEDDING },
      rateLimit: {
        call: (options: object) => honoPackage.rateLimit(limited, "api", { by: honoPackage.by.address, ...options }),
        wrong: [{ by: {} }, { cost: 0 }, { legacyHeaders: 1 }],
      },
      steward: {
        call: (options) => honoPackage.steward(new Hono(), { container: container([one]), ...(options as object) }),
        wrong: [...APP_SETTINGS, { container: undefined }, { running: () => undefined }],
      },
      honoServer: {
        call: (options) =>
          honoPackage.honoServer("s", {
            app: () => new Hono(),
            listen: () => ({ port: 0 }),
            ...(options as object),
          }),
        wrong: [{ app: undefined }, { listen: { port: 1 } }, { requestTimeoutMs: 0 }],
      },
      handler: { call: (options) => honoPackage.handler({}, () => 1, options), wrong: DURATIONS },
      HttpError: httpError,
      stream: streamed,
    },
    none: ["InvalidInput Scopes boundSession events parametrised perRequest security sessionCookie"],
  },
  "@steward/nest": {
    module: nestPackage,
    takes: {
      cookieSession: {
        call: (options: object) => nestPackage.cookieSession(authenticator, options),
        wrong: [{ name: "a b" }, { sameSite: "None" }, { secure: 1 }],
      },
      sessionPrincipal: {
        call: (options: object) => nestPackage.sessionPrincipal(nestPackage.cookieSession(authenticator), options),
        wrong: [{ name: "" }, { autoError: 1 }],
      },
      recent: {
        call: (options: object) =>
          nestPackage.recent(nestPackage.sessionPrincipal(nestPackage.cookieSession(authenticator)), {
            withinMs: 1_000,
            ...options,
          }),
        wrong: [{ withinMs: 1 }],
      },
      csrf: {
        call: (options: object) => nestPackage.csrf(options),
        wrong: [{ cookies: [""] }, { origins: ["clips.example"] }, { allowSameSite: 1 }],
      },
      principal: {
        call: (options: object) => nestPackage.principal(authenticator, options),
        wrong: [{ name: "" }, { autoError: 1 }, { session: {} }],
      },
      permitted: permittedBy(nestPackage.permitted as never),
      shedding: { call: (options) => nestPackage.shedding(options), wrong: WRONG_SHEDDING },
      rateLimit: {
        call: (options: object) => nestPackage.rateLimit(limited, "api", { by: nestPackage.by.address, ...options }),
        wrong: [{ by: {} }, { cost: 0 }, { legacyHeaders: 1 }],
      },
      StewardModule: {
        call: (options) => nestPackage.StewardModule.forRoot(container([one]), options),
        wrong: [...APP_SETTINGS, { container: undefined }, { running: () => undefined }],
      },
      nestServer: {
        call: (options) =>
          nestPackage.nestServer("s", { module: {}, listen: () => ({ port: 0 }), ...(options as object) }),
        wrong: [...APP_SETTINGS, { module: undefined }, { listen: { port: 1 } }, { requestTimeoutMs: 0 }],
      },
      Needs: { call: (options) => nestPackage.Needs({}, options), wrong: DURATIONS },
      HttpError: httpError,
      stream: streamed,
    },
    none: ["InvalidInput Scopes StewardLife boundSession events parametrised perRequest security sessionCookie token"],
  },
  "@steward/server": {
    module: server,
    takes: {
      cookieSession: {
        call: (options: object) => server.cookieSession(authenticator, options),
        wrong: [{ name: "a b" }, { sameSite: "None" }, { secure: 1 }],
      },
      sessionPrincipal: {
        call: (options: object) => server.sessionPrincipal(server.cookieSession(authenticator), options),
        wrong: [{ name: "" }, { autoError: 1 }],
      },
      recent: {
        call: (options: object) =>
          server.recent(server.sessionPrincipal(server.cookieSession(authenticator)), { withinMs: 1_000, ...options }),
        wrong: [{ withinMs: 1 }],
      },
      csrf: {
        call: (options: object) => server.csrf(options),
        wrong: [{ cookies: [""] }, { origins: ["clips.example"] }, { allowSameSite: 1 }],
      },
      principal: {
        call: (options: object) => server.principal(authenticator, options),
        wrong: [{ name: "" }, { autoError: 1 }, { session: {} }],
      },
      permitted: permittedBy(server.permitted as never),
      shedding: { call: (options) => server.shedding(options), wrong: WRONG_SHEDDING },
      rateLimit: {
        call: (options: object) => server.rateLimit(limited, "api", { by: server.by.address, ...options }),
        wrong: [{ by: {} }, { cost: 0 }, { cost: Number.NaN }, { legacyHeaders: 1 }],
      },
      HttpError: httpError,
      stream: streamed,
      ...idempotencyStores,
      handlerSpec: {
        call: (options) => server.handlerSpec({}, () => 1, options as {}),
        wrong: [...DURATIONS, { idempotency: {} }, { idempotency: { store: server.memoryIdempotency(), ttl: 1 } }],
      },
    },
    none: [
      "allNeeds assertNeeds answerOtherUpgrades boundSession closeWithConnection discardStream ConnectionRoom InvalidInput RequestLife RequestEvents RequestMetrics Route Schemes Scopes Serving SocketError Validators answerTo bodyOf",
      "clientStatusOf describe events formShape hostsRule idempotencyShape jsonSchemaOf loggable misdirected parametrised perRequest problemOf problemSchema problemShape refuseConnection requestIdFrom",
      "requestIdRule requestShare rootOf security securityOf serverError sessionCookie strictQuery textOf unauthenticated urlencodedFields urlMask uuid7",
    ],
  },
  "@steward/server/node": {
    module: nodeServer,
    takes: {
      handler: { call: (options) => nodeServer.handler({}, () => 1, options), wrong: DURATIONS },
      serve: {
        call: (options) => nodeServer.serve("s", { routes: [], listen: () => ({ port: 0 }), ...(options as object) }),
        wrong: [
          ...APP_SETTINGS,
          { http2: "yes" },
          { listen: { port: 1 } },
          { requestTimeoutMs: 0 },
          { routes: undefined },
        ],
      },
    },
    none: [
      "ErrorAnswers appServer assertJoin enteredExpress enterExpress expressHandlers expressMethods expressTrustsEverybody join marked specIn notJoined refusalOf malformedJson readBody sourceOf sourceRules NodeApp NodeLife NodeRequest NodeServer listenError listenShape outgoingOf serverResource settingRules timeoutsOf",
    ],
  },
  "@steward/testing/server": { module: serverSuite, takes: {}, none: ["serverContract"] },
  "@steward/server: from": { module: server.from, takes: fromRequest, none: [] },
  "@steward/fastify/testing": { module: pluginTesting, takes: {}, none: ["TestClient override testClient"] },
  "@steward/dashboard": {
    module: dashboardPackage,
    takes: {
      dashboard: {
        call: (options) => dashboardPackage.dashboard(options).close(),
        wrong: [
          { token: "short" },
          { hosts: "clips" },
          { journalSize: 0 },
          { maxViewers: 1.5 },
          { clock: {} },
          { peers: [1] },
          { peerToken: 5 },
          { runs: {} },
        ],
      },
    },
    none: ["DASHBOARD_CODES", "dnsPeers"],
  },
  "@steward/dashboard/layout": { module: dashboardLayout, takes: {}, none: ["layout pathOf"] },
  "@steward/cli": {
    module: cli,
    takes: { runCli: { call: (options) => cli.runCli(["help"], options), wrong: [{ write: "x" }, { writeError: 1 }] } },
    none: ["graphSvg"],
  },
  "@steward/telemetry": {
    module: telemetry,
    takes: {
      Meter: {
        call: (options) =>
          "maxSeries" in (options as object)
            ? new telemetry.Meter(options)
            : "bounds" in (options as object)
              ? new telemetry.Meter().histogram("x", options)
              : new telemetry.Meter().counter("x", options),
        wrong: [{ maxSeries: 0 }, { maxSeries: Number.NaN }, { attributes: { a: 1 } }, { bounds: [2, 1] }, { unit: 5 }],
      },
      metricsRoute: { call: (options) => telemetry.metricsRoute([], options), wrong: [{ onProblem: 1 }] },
      prometheusText: { call: (options) => telemetry.prometheusText([], options).next(), wrong: [{ onProblem: 1 }] },
    },
    none: ["Counter Gauge processMetrics prometheusName withAttributes"],
  },
  "@steward/telemetry/opentelemetry": {
    module: openTelemetry,
    takes: {
      traceResources: { call: (options) => openTelemetry.traceResources({} as never, options), wrong: [{ calls: 1 }] },
      traceRequests: { call: (options) => openTelemetry.traceRequests({} as never, options), wrong: [{ requests: 1 }] },
      metricProducer: { call: (options) => openTelemetry.metricProducer([], options), wrong: [{ onProblem: 1 }] },
    },
    none: ["parseTraceparent traceparentOf"],
  },
  "@steward/telemetry/alerts": {
    module: alertWatch,
    takes: {
      alerts: {
        call: (options) =>
          running((up) => alertWatch.alerts(up, { rules: [], send: async () => {}, ...(options as object) }).stop()),
        wrong: [{ rules: 5 }, { send: "x" }, { checkMs: 0 }, { maxPerHour: 0 }, { clock: {} }, { onProblem: 1 }],
      },
      webhook: {
        call: (options) => alertWatch.webhook({ request: nothing } as never, "https://example.com", options),
        wrong: [{ headers: { a: 1 } }, { body: "x" }],
      },
    },
    none: ["metric unhealthy"],
  },
  "@steward/telemetry/rules": {
    module: alertRules,
    takes: {
      prometheusRules: { call: (options) => alertRules.prometheusRules(options), wrong: WRONG_RULES },
      rulesText: { call: (options) => alertRules.rulesText(options), wrong: WRONG_RULES },
      wrappedRulesText: { call: (options) => alertRules.wrappedRulesText(options), wrong: WRONG_RULES },
    },
    none: ["dashboards metricsTable"],
  },
  "@steward/testing": {
    module: testing,
    takes: {
      startFaultProxy: {
        call: (options) => testing.startFaultProxy({ target: "http://127.0.0.1:1", ...(options as object) }),
        wrong: [{ target: undefined }, { target: "x" }, { random: 5 }],
      },
      resourceContract: {
        call: (options) =>
          testing.resourceContract(
            { test: () => {}, assert: {} as never },
            { create: () => ({}) as never, ...(options as object) },
          ),
        wrong: [{ create: 5 }, { use: "x" }, { proxy: {} }],
      },
    },
    none: [
      "Alarm FakeClock Load Watch assertNoLeaks brokenPromises compareMembers detect detectAll documentedMembers failure growthOf leaksIn leakyErrors machineAddress operationsOf rounds sleep trackHandles until",
    ],
  },
  "@steward/launchers": {
    module: servers,
    takes: {
      startRedis: { call: (options) => servers.startRedis(options), wrong: [{ port: Number.NaN }, { password: 5 }] },
      startRedisCluster: { call: (options) => servers.startRedisCluster(options), wrong: [{ masters: 0 }] },
      startRedisSentinel: { call: (options) => servers.startRedisSentinel(options), wrong: [{ downAfterMs: "1" }] },
      startPgBouncer: {
        call: (options) => servers.startPgBouncer(options as never),
        wrong: [{ target: 5 }, { mode: "pool" }, { poolSize: 0 }],
      },
      startPostgres: {
        call: (options) => servers.startPostgres(options),
        wrong: [{ port: "5432" }, { ifInUse: "no" }],
      },
      redisForTests: { call: (options) => servers.redisForTests(options), wrong: [{ startTimeoutMs: Number.NaN }] },
      postgresForTests: { call: (options) => servers.postgresForTests(options), wrong: [{ startTimeoutMs: -1 }] },
    },
    none: ["findPgBouncer findPostgres findRedis freePorts"],
  },
};
