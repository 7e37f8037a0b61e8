import { isIP } from "node:net";
import { config, duration, env, envName, port, secret, text, url, type Environment } from "@steward/config";
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
  const bytes = Buffer.from(text, "base64");
  return bytes.length === KEK_BYTES && bytes.toString("base64") === text;
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

/** Files in PEM of one way to talk: whom it trusts, and who Clips is there. */
const certificates = (name: string) =>
  v.optional(
    v.pipe(
      v.strictObject({
        ca: v.optional(v.pipe(text(), envName(`${name}_CA_FILE`))),
        cert: v.optional(v.pipe(text(), envName(`${name}_CERT_FILE`))),
        key: v.optional(v.pipe(text(), envName(`${name}_KEY_FILE`))),
      }),
      v.check(
        ({ cert, key }) => (cert === undefined) === (key === undefined),
        `${name}_CERT_FILE and ${name}_KEY_FILE are set together, or neither is`,
      ),
    ),
    {},
  );

/** Where videos are rendered, and how. */
const renderer = v.strictObject({
  url: v.optional(v.pipe(url(), v.description("a renderer to use, in place of an own one"), envName("RENDERER_URL"))),
  host: v.optional(
    v.pipe(text(), v.description("where an own renderer listens"), envName("RENDERER_HOST")),
    "127.0.0.1",
  ),
  port: v.optional(v.pipe(port(), v.description("0 takes a free one"), envName("RENDERER_PORT")), 0),
  tls: certificates("RENDERER"),
  stepMs: v.optional(
    v.pipe(duration({ least: 1 }), v.description("how long a step takes"), envName("RENDERER_STEP_MS")),
    100,
  ),
});

const schema = v.strictObject({
  port: v.optional(v.pipe(port(), envName("PORT")), 3000),
  host: v.optional(v.pipe(text(), envName("HOST")), "127.0.0.1"),
  environment: v.optional(
    v.pipe(
      text(),
      v.description("whose data this is, such as production: Clips refuses a database or a Redis of another one"),
      envName("CLIPS_ENVIRONMENT"),
    ),
  ),
  hosts: v.optional(
    v.pipe(
      v.array(v.pipe(v.string(), v.regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/, "must be a host without a port"))),
      v.description("names under which Clips is reached besides this machine; needed where HOST is another"),
      envName("CLIPS_HOSTS"),
    ),
  ),
  databaseUrl: v.optional(
    v.pipe(
      secret({ protocols: ["postgres:", "postgresql:"] }),
      v.description("a Postgres to use; without one Clips starts its own"),
      envName("DATABASE_URL"),
    ),
  ),
  redisUrl: v.optional(
    v.pipe(
      secret({ protocols: ["redis:", "rediss:"] }),
      v.description("a Redis to use; without one Clips starts its own, if there is a program for it"),
      envName("REDIS_URL"),
    ),
  ),
  smtpUrl: v.optional(
    v.pipe(
      secret({ protocols: ["smtp:", "smtps:"] }),
      v.description("a mail server to use; without one Clips starts its own, which delivers nothing"),
      envName("SMTP_URL"),
    ),
  ),
  mailFrom: v.optional(
    v.pipe(text(), v.description("who mails are from"), envName("MAIL_FROM")),
    "Clips <clips@localhost>",
  ),
  allowedOrigins: v.optional(
    v.pipe(v.array(origin), v.description("origins that /api/data may call"), envName("ALLOWED_ORIGINS")),
    [],
  ),
  tls: certificates("HTTP"),
  renderer: v.optional(renderer, {}),
  leaseMs: v.optional(
    v.pipe(
      duration({ least: 1 }),
      v.description("how long a job stays with an instance that gives no sign of life"),
      envName("PROCESSING_LEASE_MS"),
    ),
    10_000,
  ),
  keks: v.optional(
    v.pipe(v.array(kek), v.description("wrap the key store: the first one wraps, all unwrap"), envName("CLIPS_KEK")),
    [],
  ),
  adminToken: v.optional(
    v.pipe(
      secret({ minBytes: 16 }),
      v.description("what a request to the management listener must know that changes the level of the log"),
      envName("CLIPS_ADMIN_TOKEN"),
    ),
  ),
  managementPort: v.optional(
    v.pipe(
      port(),
      v.description(
        "where operators of this machine see health and change the level; without one there is no such listener",
      ),
      envName("MANAGEMENT_PORT"),
    ),
  ),
  managementHost: v.optional(
    v.pipe(
      text(),
      v.description("the address of that listener; only where none but operators reach it may it be another one"),
      envName("MANAGEMENT_HOST"),
    ),
    "127.0.0.1",
  ),
  managementPeers: v.optional(
    v.pipe(
      v.array(v.pipe(v.string(), v.regex(/^[^/@]+:\d+$/, "must be a host and a port, such as clips-headless:9464"))),
      v.description("the same listeners of the other replicas, for the dashboard; a name may have many addresses"),
      envName("MANAGEMENT_PEERS"),
    ),
    [],
  ),
  trustedProxies: v.optional(
    v.pipe(
      v.array(v.pipe(v.string(), v.check(isNetwork, "must be an address, or a network such as 10.0.0.0/8"))),
      v.description("load balancers, whose x-forwarded-for is believed; limits count by the address of the client"),
      envName("TRUSTED_PROXIES"),
    ),
    [],
  ),
  monitorToken: v.optional(
    v.pipe(
      secret({ minBytes: 16 }),
      v.description("what a request from elsewhere must know to see metrics and why something is not well"),
      envName("CLIPS_MONITOR_TOKEN"),
    ),
  ),
  logLevel: v.optional(
    v.pipe(v.picklist(["trace", "debug", "info", "warn", "error", "fatal", "silent"]), envName("LOG_LEVEL")),
    "info",
  ),
  dataDir: v.optional(
    v.pipe(text(), v.description("where the servers that Clips starts keep their data"), envName("DATA_DIR")),
    inPackage(".data"),
  ),
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
