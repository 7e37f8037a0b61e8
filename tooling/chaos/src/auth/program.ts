// One instance of a service that signs people in, for the drill of auth: it does what its parent asks.
import { createHmac, timingSafeEqual, webcrypto } from "node:crypto";
import { AuthenticationManager, sqlApiKeys, sqlFamilies, sqlSessions, type TokenMac } from "@steward/auth";
import type { TokenKey, TokenKeys } from "@steward/core";
import { DatabasePoolManager, sqlRunner } from "@steward/database";
import type { Asked, Setup, Reply } from "./fleet.ts";

const { url, secret, timeoutMs, maxPerUser } = JSON.parse(process.argv[2] ?? "{}") as Setup; // the parent has written it

async function keysOf(text: string): Promise<TokenKeys> {
  const how = { name: "HMAC", hash: "SHA-256" };
  const key = await webcrypto.subtle.importKey("raw", Buffer.from(text, "hex"), how, false, ["sign", "verify"]);
  const only: TokenKey = { kid: "k1", algorithm: "HS256", key };
  return {
    signing: async () => only,
    verifying: async (kid) => (kid === "k1" ? only : undefined),
    jwks: async () => ({ keys: [] }),
    onChange: () => () => {},
  };
}

const tagOf = (message: string): Buffer => createHmac("sha256", secret).update(message).digest();
const mac: TokenMac = {
  sign: async (message) => tagOf(message),
  isValid: async (message, tag) => tag.length === 32 && timingSafeEqual(tagOf(message), tag),
};

const database = await new DatabasePoolManager({ url, maxConnections: 10, timeoutMs: 30_000 }).start();
const sql = sqlRunner(database.client);
const manager = await new AuthenticationManager({
  issuer: "https://drill.example",
  audience: "drill",
  keys: await keysOf(secret),
  refresh: { store: sqlFamilies({ sql }), mac, maxPerUser },
  sessions: { store: sqlSessions({ sql }), maxPerUser },
  apiKeys: { store: sqlApiKeys({ sql }) },
  timeoutMs,
}).start();
const { client } = manager;

const CALLS = {
  pair: (subject: string) => client.issuePair({ subject }),
  refresh: async (token: string) => (await client.refresh(token)).refreshToken,
  verify: async (token: string) => (await client.verify(token)).subject,
  begin: async (subject: string) => (await client.sessions.begin({ subject })).value,
  find: async (value: string) => (await client.sessions.find(value))?.principal.subject,
  write: (value: string, field: string) => client.sessions.write(value, { [field]: "1" }),
  fields: async (value: string) => Object.keys((await client.sessions.find(value))?.fields ?? {}),
  end: (value: string) => client.sessions.end(value),
  list: async (subject: string) => (await client.sessions.list(subject)).length,
  apiKey: async (subject: string) => (await client.apiKeys.create({ subject, name: "drill" })).key,
  everywhere: (subject: string) => client.logoutEverywhere(subject),
  show: async (value: string) => {
    const tries = [
      client.authenticate({ scheme: "bearer", value }),
      client.authenticate({ scheme: "session", value }),
      client.refresh(value),
    ];
    return (await Promise.allSettled(tries)).some(({ status }) => status === "fulfilled");
  },
} as const;

/** What an instance can be asked for. */
export type Calls = typeof CALLS;

process.on("message", (asked: Asked | "end") => {
  if (asked === "end") return void Promise.all([manager.stop(), database.stop()]).then(() => process.disconnect());
  const { id, call, given } = asked;
  const since = performance.now();
  const answer = (reply: Partial<Reply>): void => void process.send?.({ id, ms: performance.now() - since, ...reply });
  (CALLS[call as keyof Calls] as (...all: readonly string[]) => Promise<unknown>)(...given).then(
    (value) => answer({ value }),
    (error: Error & { code?: string }) => answer({ code: error.code ?? error.message }),
  );
});
process.send?.("ready");
