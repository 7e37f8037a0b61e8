import * as v from "valibot";
import {
  bytes,
  ConfigManager,
  count,
  duration,
  envName,
  port,
  secret,
  text,
  url,
  type ConfigOptions,
  type Source,
  type StandardSchema,
} from "../src/index.ts";

/** Settings with one of everything, as an app might have them. */
export const schema = v.strictObject({
  port: v.optional(v.pipe(port(), envName("PORT")), 3000),
  host: v.optional(text(), "127.0.0.1"),
  debug: v.optional(v.boolean(), false),
  logLevel: v.optional(v.picklist(["debug", "info", "warn", "error"]), "info"),
  database: v.strictObject({
    url: secret({ protocols: ["postgres:", "postgresql:"] }),
    maxConnections: v.optional(count(), 20),
    acquireTimeout: v.optional(duration({ least: 1 }), "5s"),
  }),
  upload: v.optional(
    v.strictObject({
      maxSize: v.optional(bytes(), "10MiB"),
      types: v.optional(v.array(v.string()), ["video/mp4"]),
    }),
    {},
  ),
  webhook: v.optional(url({ protocols: ["https:"] })),
  signingKey: v.optional(secret({ minBytes: 32 })),
  tenants: v.optional(v.record(v.string(), v.strictObject({ quota: count() })), {}),
});

export type ClipsSchema = typeof schema;

export const DATABASE_URL = "postgres://clips:h4nd-m4de@db:5432/clips";

/** Settings that lack nothing. */
export const WHOLE: Readonly<Record<string, string>> = { CLIPS_DATABASE__URL: DATABASE_URL };

/** A manager of these settings, not started. */
export function clips(
  sources: readonly Source[],
  rest: Partial<ConfigOptions<ClipsSchema>> = {},
): ConfigManager<ClipsSchema> {
  return new ConfigManager({ schema, sources, ...rest }, { name: "settings" });
}

/** What a start fails with. */
export async function refusal(
  sources: readonly Source[],
  of: StandardSchema<object> = schema,
): Promise<Error & { code?: string }> {
  await using manager = new ConfigManager({ schema: of, sources }, { name: "settings" });
  try {
    await manager.start();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("it started");
}
