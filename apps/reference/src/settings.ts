import { readFileSync } from "node:fs";
import { isIP } from "node:net";
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
} from "@steward/config";
import { input, type ValueOf } from "@steward/core";
import * as v from "valibot";
import { inPackage } from "./folders.ts";

/** What the environment says. Given when the container starts, so that tests need no process of their own. */
export const environment = input<Environment>()("environment");

const KEK_BYTES = 32;

/** A key in base64 that wraps the key store. */
const kek = v.pipe(
  secret(),
  v.check((key) => isKek(key.reveal()), "must be 32 bytes as base64 (openssl rand -base64 32)"),
);

function isKek(text: string): boolean {
  const key = Buffer.from(text, "base64");
  return key.length === KEK_BYTES && key.toString("base64") === text;
}

const origin = v.pipe(
  v.string(),
  v.check(isOrigin, "must be an origin such as https://api.example.com; several have commas between them"),
);

function isOrigin(text: string): boolean {
  return (
    URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) && new URL(text).origin === text.replace(/\/$/, "")
  );
}

function isNetwork(text: string): boolean {
  const [address = "", bits] = text.split("/");
  const version = isIP(address);
  return version !== 0 && (bits === undefined || (/^\d+$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128)));
}

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

const file = v.pipe(v.string(), v.check(isPem, "must be a file in PEM that Clips may read"));

function isPem(path: string): boolean {
  try {
    return readFileSync(path, "utf8").includes("-----BEGIN ");
  } catch {
    return false;
  }
}

/** Files in PEM of one way to talk: whom it trusts, and who Clips is there. */
const certificates = (name: string) =>
  v.optional(
    v.pipe(
      v.strictObject({
        ca: given(`${name}_CA_FILE`, "PEM of the authorities that it trusts", file),
        cert: given(`${name}_CERT_FILE`, "PEM of the certificate that it shows", file),
        key: given(`${name}_KEY_FILE`, "PEM of the key of that certificate", file),
      }),
      v.check(
        ({ cert, key }) => (cert === undefined) === (key === undefined),
        `${name}_CERT_FILE and ${name}_KEY_FILE are set together, or neither is`,
      ),
    ),
    {},
  );

const levels = v.picklist(["trace", "debug", "info", "warn", "error", "fatal", "silent"]);
const hostName = v.pipe(v.string(), v.regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/, "must be a host without a port"));
const peer = v.pipe(v.string(), v.regex(/^[^/@]+:\d+$/, "must be a host and a port, such as clips-headless:9464"));
const network = v.pipe(v.string(), v.check(isNetwork, "must be an address, or a network such as 10.0.0.0/8"));
const postgresUrl = secret({ protocols: ["postgres:", "postgresql:"] });
const redisUrl = secret({ protocols: ["redis:", "rediss:"] });
const smtpUrl = secret({ protocols: ["smtp:", "smtps:"] });
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
  host: given("RENDERER_HOST", "where an own renderer listens", text(), "127.0.0.1"),
  port: given("RENDERER_PORT", "where an own renderer listens; 0 takes a free port", port(), 0),
  tls: certificates("RENDERER"),
  stepMs: given("RENDERER_STEP_MS", "how long a step takes", some, 100),
});

const schema = v.strictObject({
  port: given("PORT", "where Clips listens; 0 takes a free port", port(), 3000),
  host: given("HOST", "the address on which it listens", text(), "127.0.0.1"),
  environment: given("CLIPS_ENVIRONMENT", "such as production: stores of another one are refused", text()),
  hosts: given("CLIPS_HOSTS", "names of Clips besides this machine; needed where HOST is another", v.array(hostName)),
  databaseUrl: given("DATABASE_URL", "a Postgres to use; without one Clips starts its own", postgresUrl),
  redisUrl: given(
    "REDIS_URL",
    "a Redis to use; without one Clips starts its own, if there is a program for it",
    redisUrl,
  ),
  smtpUrl: given("SMTP_URL", "a mail server to use; without one Clips starts its own, which delivers nothing", smtpUrl),
  mailFrom: given("MAIL_FROM", "who mails are from", text(), "Clips <clips@localhost>"),
  allowedOrigins: given("ALLOWED_ORIGINS", "origins that /api/data may call", v.array(origin), []),
  tls: certificates("HTTP"),
  renderer: v.optional(renderer, {}),
  leaseMs: given("PROCESSING_LEASE_MS", "how long an instance without a sign of life keeps a job", some, 10_000),
  quota: v.optional(quota, {}),
  keks: given("CLIPS_KEK", "wrap the key store: the first one wraps, all unwrap", v.array(kek), []),
  adminToken: given("CLIPS_ADMIN_TOKEN", "what operators must know to change the level of the log", token),
  managementPort: given("MANAGEMENT_PORT", "where operators see health; without one there is no such listener", port()),
  managementHost: given("MANAGEMENT_HOST", "where none but operators reach it", text(), "127.0.0.1"),
  managementPeers: given("MANAGEMENT_PEERS", "of other replicas; a name may have many addresses", v.array(peer), []),
  trustedProxies: given("TRUSTED_PROXIES", "load balancers, whose x-forwarded-for is believed", v.array(network), []),
  monitorToken: given("CLIPS_MONITOR_TOKEN", "what others must know to see metrics and reasons of health", token),
  logLevel: given("LOG_LEVEL", "of the log", levels, "info"),
  dataDir: given("DATA_DIR", "where the servers that Clips starts keep their data", text(), inPackage(".data")),
});

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
