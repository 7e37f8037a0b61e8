import {
  bytes,
  config,
  count,
  duration,
  env,
  envName,
  port,
  secret,
  text,
  url,
  type Environment,
  type SecretRules,
} from "@steward/config";
import { input, type ValueOf } from "@steward/core";
import { databaseUrlProblem } from "@steward/database";
import { redisUrlProblem } from "@steward/redis";
import * as v from "valibot";
import { isCertificate, isKek, isNetwork, isOrigin, isOwnHost, isPair, isPem, isWritable } from "./checks.ts";
import { inPackage } from "./folders.ts";

/** What the environment says. Given when the container starts, so that tests need no process of their own. */
export const environment = input<Environment>()("environment");

/** A setting that a variable may give. */
function given<S extends v.GenericSchema>(variable: string, about: string, schema: S): v.OptionalSchema<S, undefined>;
function given<S extends v.GenericSchema, D extends v.Default<S, undefined>>(
  variable: string,
  about: string,
  schema: S,
  otherwise: D,
): v.OptionalSchema<S, D>;
function given(variable: string, about: string, schema: v.GenericSchema, otherwise?: unknown): v.GenericSchema {
  return v.optional(v.pipe(schema, v.description(about), envName(variable)), otherwise);
}

/** Text that has to be right in a way that its type does not say. */
function checked(isRight: (text: string) => boolean, message: string) {
  return v.pipe(text(), v.check(isRight, message));
}

/** The same for credentials. */
function checkedSecret(rules: SecretRules, isRight: (text: string) => boolean, message: string) {
  return v.pipe(
    secret(rules),
    v.check((value) => isRight(value.reveal()), message),
  );
}

/** A URL with credentials that a driver takes; it says itself why it does not. */
function driverUrl(protocols: readonly string[], problemOf: (url: string) => string | undefined) {
  return v.pipe(
    secret({ protocols }),
    v.rawCheck(({ dataset, addIssue }) => {
      const message = dataset.typed ? problemOf(dataset.value.reveal()) : undefined;
      if (message !== undefined) addIssue({ message });
    }),
  );
}

const pem = checked(isPem, "must be a file in PEM that Clips may read");
const authorities = checked(isCertificate, "must be a file of certificates in PEM that Clips may read");

/** Files in PEM of one way to talk: whom it trusts, and who Clips is there. */
const certificates = (name: string) =>
  v.optional(
    v.pipe(
      v.strictObject({
        ca: given(`${name}_CA_FILE`, "PEM of the authorities that it trusts", authorities),
        cert: given(`${name}_CERT_FILE`, "PEM of the certificate that it shows", pem),
        key: given(`${name}_KEY_FILE`, "PEM of the key of that certificate", pem),
      }),
      v.check(
        ({ cert, key }) => (cert === undefined) === (key === undefined),
        `${name}_CERT_FILE and ${name}_KEY_FILE are set together, or neither is`,
      ),
      v.check(
        ({ cert, key }) => cert === undefined || key === undefined || isPair(cert, key),
        `${name}_CERT_FILE and ${name}_KEY_FILE must hold a certificate and its own key`,
      ),
    ),
    {},
  );

const levels = v.picklist(["trace", "debug", "info", "warn", "error", "fatal", "silent"]);
const hostName = v.pipe(v.string(), v.regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/, "must be a host without a port"));
const peer = v.pipe(v.string(), v.regex(/^[^/@]+:\d+$/, "must be a host and a port, such as clips-headless:9464"));
const origin = checked(isOrigin, "must be an origin such as https://api.example.com; several have commas between them");
const network = checked(isNetwork, "must be an address, or a network such as 10.0.0.0/8");
const ownHost = checked(isOwnHost, "must be an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them");
const environmentName = checked(
  (name) => /^[a-z0-9][a-z0-9._-]{0,31}$/.test(name),
  "must be 1 to 32 of a-z 0-9 . _ -, such as production",
);
const sender = checked(
  (from) => /(?:^|<)[^<>@,\s]+@[^<>@,\s]+>?$/.test(from) && from.includes("<") === from.endsWith(">"),
  "must be an address such as Clips <clips@example.com>",
);
const kek = checkedSecret({}, isKek, "must be 32 bytes as base64 (openssl rand -base64 32)");
const postgresUrl = driverUrl(["postgres:", "postgresql:"], databaseUrlProblem);
const redisUrl = driverUrl(["redis:", "rediss:"], redisUrlProblem);
const smtpUrl = checkedSecret(
  { protocols: ["smtp:", "smtps:"] },
  (url) => new URL(url).hostname !== "",
  "must be a URL such as smtps://user:password@mail.example.com",
);
const token = secret({ minBytes: 16 });
const some = duration({ least: 1 });

/** How much one user may upload. */
const quota = v.strictObject({
  uploads: given("UPLOADS_PER_USER", "how many files one user may upload", count(), 1_000),
  bytes: given("UPLOAD_BYTES_PER_USER", "how many bytes they may have together", bytes(), 1024 ** 3),
});

/** Where videos are rendered, and how. */
const renderer = v.strictObject({
  url: given("RENDERER_URL", "a renderer to use, in place of an own one", url()),
  host: given("RENDERER_HOST", "where an own renderer listens", ownHost, "127.0.0.1"),
  port: given("RENDERER_PORT", "where an own renderer listens; 0 takes a free port", port(), 0),
  tls: certificates("RENDERER"),
  stepMs: given("RENDERER_STEP_MS", "how long a step takes", some, 100),
});

const all = v.strictObject({
  port: given("PORT", "where Clips listens; 0 takes a free port", port(), 3000),
  host: given("HOST", "the address on which it listens", ownHost, "127.0.0.1"),
  environment: given("CLIPS_ENVIRONMENT", "such as production: stores of another one are refused", environmentName),
  hosts: given("CLIPS_HOSTS", "names of Clips besides this machine; needed where HOST is another", v.array(hostName)),
  databaseUrl: given("DATABASE_URL", "a Postgres to use; without one Clips starts its own", postgresUrl),
  redisUrl: given(
    "REDIS_URL",
    "a Redis to use; without one Clips starts its own, if there is a program for it",
    redisUrl,
  ),
  smtpUrl: given("SMTP_URL", "a mail server to use; without one Clips starts its own, which delivers nothing", smtpUrl),
  mailFrom: given("MAIL_FROM", "who mails are from", sender, "Clips <clips@localhost>"),
  allowedOrigins: given("ALLOWED_ORIGINS", "origins that /api/data may call", v.array(origin), []),
  tls: certificates("HTTP"),
  renderer: v.optional(renderer, {}),
  leaseMs: given("PROCESSING_LEASE_MS", "how long an instance without a sign of life keeps a job", some, 10_000),
  quota: v.optional(quota, {}),
  keks: given("CLIPS_KEK", "wrap the key store: the first one wraps, all unwrap", v.array(kek), []),
  adminToken: given("CLIPS_ADMIN_TOKEN", "what operators must know to change the level of the log", token),
  managementPort: given("MANAGEMENT_PORT", "where operators see health; without one there is no such listener", port()),
  managementHost: given("MANAGEMENT_HOST", "where none but operators reach it", ownHost, "127.0.0.1"),
  managementPeers: given("MANAGEMENT_PEERS", "of other replicas; a name may have many addresses", v.array(peer), []),
  trustedProxies: given("TRUSTED_PROXIES", "load balancers, whose x-forwarded-for is believed", v.array(network), []),
  monitorToken: given("CLIPS_MONITOR_TOKEN", "what others must know to see metrics and reasons of health", token),
  logLevel: given("LOG_LEVEL", "of the log", levels, "info"),
  dataDir: given("DATA_DIR", "where the servers that Clips starts keep their data", text(), inPackage(".data")),
});

/** Whether no two listeners are to have the same port. */
function areApart(places: readonly (readonly [host: string, port: number | undefined])[]): boolean {
  const fixed = places.filter(([, port = 0]) => port !== 0).map(String);
  return new Set(fixed).size === fixed.length;
}

const schema = v.pipe(
  all,
  v.forward(
    v.partialCheck(
      [["host"], ["port"], ["managementHost"], ["managementPort"], ["renderer"]],
      ({ host, port, managementHost, managementPort, renderer }) =>
        areApart([
          [host, port],
          [managementHost, managementPort],
          [renderer.host, renderer.url === undefined ? renderer.port : 0],
        ]),
      "PORT, MANAGEMENT_PORT and RENDERER_PORT must be different ports, or 0 for a free one",
    ),
    ["port"],
  ),
  // Without an own Postgres and an own key it may be nowhere.
  v.forward(
    v.partialCheck(
      [["databaseUrl"], ["keks"], ["dataDir"]],
      ({ databaseUrl, keks, dataDir }) => (databaseUrl !== undefined && keks.length > 0) || isWritable(dataDir),
      "must be a folder that Clips may write to, or make",
    ),
    ["dataDir"],
  ),
);

/** The settings of this process. */
export const settings = config("settings", {
  schema,
  needs: { environment },
  sources: ({ environment }) => [env(environment)],
});

/** How Clips runs. */
export type Settings = ValueOf<typeof settings>;

/** Files in PEM of one way to talk. */
export type CertificateFiles = Settings["tls"];

/** Whether Clips listens for this machine alone. */
export function isLocal(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

/** The names that it answers to, besides this machine and addresses; any, where others reach it and no one has said which. */
export function hostsOf({ host, hosts }: Pick<Settings, "host" | "hosts">): readonly string[] | undefined {
  return hosts ?? (isLocal(host) ? [] : undefined);
}
