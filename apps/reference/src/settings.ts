import { checkOptions, input, resource } from "@steward/core";
import * as v from "valibot";
import { inPackage } from "./folders.ts";

/** Variables of the environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What the environment says. Given when the container starts, so that tests need no process of their own. */
export const environment = input<Environment>()("environment");

const port = v.pipe(
  v.string(),
  v.check((text) => /^\d{1,5}$/.test(text) && Number(text) <= 65_535, "must be a port: a whole number from 0 to 65535"),
  v.transform(Number),
);

const ms = v.pipe(
  v.string(),
  v.check((text) => /^\d{1,9}$/.test(text) && Number(text) >= 1, "must be a duration: whole milliseconds, at least 1"),
  v.transform(Number),
);

const url = (schemes: readonly string[], example: string) =>
  v.pipe(
    v.string(),
    v.check(
      (text) => URL.canParse(text) && schemes.includes(new URL(text).protocol),
      `must be a URL such as ${example}`,
    ),
  );

const origins = v.pipe(
  v.string(),
  v.transform((text) => text.split(/[\s,]+/).filter((origin) => origin !== "")),
  v.check((list) => list.every(isOrigin), "must be origins such as https://api.example.com, with commas between them"),
);

const KEK_BYTES = 32;

const keks = v.pipe(
  v.string(),
  v.transform((text) => text.split(/[\s,]+/).filter((key) => key !== "")),
  v.check(
    (list) => list.every(isKek),
    "must be 32 bytes as base64 (openssl rand -base64 32); of several the first wraps",
  ),
);

function isKek(text: string): boolean {
  const bytes = Buffer.from(text, "base64");
  return bytes.length === KEK_BYTES && bytes.toString("base64") === text;
}

const token = v.pipe(v.string(), v.minLength(16, "must have at least 16 characters"));

const levels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

const entries = v.strictObject({
  PORT: v.optional(port, "3000"),
  HOST: v.optional(v.string(), "127.0.0.1"),
  DATABASE_URL: v.optional(url(["postgres:", "postgresql:"], "postgres://user@host:5432/clips")),
  REDIS_URL: v.optional(url(["redis:", "rediss:"], "redis://host:6379")),
  ALLOWED_ORIGINS: v.optional(origins, ""),
  HTTP_CA_FILE: v.optional(v.string()),
  HTTP_CERT_FILE: v.optional(v.string()),
  HTTP_KEY_FILE: v.optional(v.string()),
  CLIPS_KEK: v.optional(keks, ""),
  CLIPS_ADMIN_TOKEN: v.optional(token),
  CLIPS_MONITOR_TOKEN: v.optional(token),
  RENDERER_URL: v.optional(url(["http:", "https:"], "http://renderer:50051")),
  RENDERER_HOST: v.optional(v.string(), "127.0.0.1"),
  RENDERER_PORT: v.optional(port, "0"),
  RENDERER_CA_FILE: v.optional(v.string()),
  RENDERER_CERT_FILE: v.optional(v.string()),
  RENDERER_KEY_FILE: v.optional(v.string()),
  RENDERER_STEP_MS: v.optional(ms, "100"),
  PROCESSING_LEASE_MS: v.optional(ms, "10000"),
  LOG_LEVEL: v.optional(v.picklist(levels), "info"),
  DATA_DIR: v.optional(v.string(), inPackage(".data")),
});

const schema = v.pipe(
  entries,
  v.forward(
    v.check(
      ({ HTTP_CERT_FILE: cert, HTTP_KEY_FILE: key }) => (cert === undefined) === (key === undefined),
      "and HTTP_KEY_FILE are set together, or neither is",
    ),
    ["HTTP_CERT_FILE"],
  ),
  v.forward(
    v.check(
      ({ RENDERER_CERT_FILE: cert, RENDERER_KEY_FILE: key }) => (cert === undefined) === (key === undefined),
      "and RENDERER_KEY_FILE are set together, or neither is",
    ),
    ["RENDERER_CERT_FILE"],
  ),
);

function isOrigin(text: string): boolean {
  return (
    URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) && new URL(text).origin === text.replace(/\/$/, "")
  );
}

/** Files in PEM of one way to talk: whom it trusts, and who Clips is there. */
export interface CertificateFiles {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** Where videos are rendered, and how. */
export interface RendererSettings {
  /** A renderer to use; without one Clips renders in its own process. */
  readonly url: string | undefined;
  /** Where a renderer of ours listens. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Of the renderer and of Clips, each in its process. */
  readonly tls: CertificateFiles;
  /** How long one step takes, in ms. */
  readonly stepMs: number;
}

/** How Clips runs. */
export interface Settings {
  readonly port: number;
  readonly host: string;
  /** A Postgres to use; without one Clips starts its own. */
  readonly databaseUrl: string | undefined;
  /** A Redis to use; without one Clips starts its own, if there is a program for it. */
  readonly redisUrl: string | undefined;
  /** Origins that `/api/data` may call. */
  readonly allowedOrigins: readonly string[];
  /** Of calls to other services. */
  readonly tls: CertificateFiles;
  readonly renderer: RendererSettings;
  /** How long a job stays with an instance that gives no sign of life, in ms. */
  readonly leaseMs: number;
  /** Keys in base64 that wrap the key store: the first one wraps, all unwrap. Empty: one is made and kept in a file. */
  readonly keks: readonly string[];
  /** What a request must know that changes keys; without one no request may. */
  readonly adminToken: string | undefined;
  /** What a request from elsewhere must know to see metrics and why something is not well. */
  readonly monitorToken: string | undefined;
  readonly logLevel: (typeof levels)[number];
  /** Where the servers that Clips starts keep their data, and where a key is that was made here. */
  readonly dataDir: string;
}

/**
 * Settings from the environment; a variable that is empty counts as not set.
 * @throws {OPTIONS_INVALID} listing every variable that is wrong.
 */
export function readSettings(env: Environment): Settings {
  const known = Object.keys(entries.entries).map((name) => [name, env[name] === "" ? undefined : env[name]]);
  const checked = checkOptions("environment", schema, Object.fromEntries(known));
  return {
    port: checked.PORT,
    host: checked.HOST,
    databaseUrl: checked.DATABASE_URL,
    redisUrl: checked.REDIS_URL,
    allowedOrigins: checked.ALLOWED_ORIGINS,
    tls: { ca: checked.HTTP_CA_FILE, cert: checked.HTTP_CERT_FILE, key: checked.HTTP_KEY_FILE },
    renderer: rendererSettings(checked),
    leaseMs: checked.PROCESSING_LEASE_MS,
    keks: checked.CLIPS_KEK,
    adminToken: checked.CLIPS_ADMIN_TOKEN,
    monitorToken: checked.CLIPS_MONITOR_TOKEN,
    logLevel: checked.LOG_LEVEL,
    dataDir: checked.DATA_DIR,
  };
}

function rendererSettings(checked: v.InferOutput<typeof entries>): RendererSettings {
  return {
    url: checked.RENDERER_URL,
    host: checked.RENDERER_HOST,
    port: checked.RENDERER_PORT,
    tls: { ca: checked.RENDERER_CA_FILE, cert: checked.RENDERER_CERT_FILE, key: checked.RENDERER_KEY_FILE },
    stepMs: checked.RENDERER_STEP_MS,
  };
}

/** The settings of this process. */
export const settings = resource("settings", {
  needs: { environment },
  start: ({ environment }) => readSettings(environment),
});
