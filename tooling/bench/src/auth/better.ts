import { randomBytes } from "node:crypto";
import { AuthenticationManager, memorySessions } from "@steward/auth";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { jwt } from "better-auth/plugins/jwt";
import type { Opened, Run } from "../arms/together.ts";
import { AUDIENCE, ISSUER, keysOf, turns } from "./tokens.ts";

const PASSWORD = "correct horse battery staple";

/** Its own tokens (EdDSA), through its own endpoint, with its keys in memory. */
async function betterTokens(): Promise<Run> {
  const auth = betterAuth({ ...betterBasis(), plugins: [jwt()] });
  const exp = Math.floor(Date.now() / 1_000) + 3_600;
  const made = await Promise.all(
    Array.from({ length: 10 }, (_, i) => auth.api.signJWT({ body: { payload: { sub: `user-${i}`, exp } } })),
  );
  return turns(made, async ({ token }) => (await auth.api.verifyJWT({ body: { token } })).payload?.sub);
}

function betterBasis() {
  const tables = { user: [], session: [], account: [], verification: [], jwks: [] };
  return {
    baseURL: ISSUER,
    secret: "a secret of at least 32 characters for a bench",
    database: memoryAdapter(tables),
    emailAndPassword: { enabled: true },
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { disabled: true },
  };
}

async function betterSession(maxAge: number): Promise<Run> {
  const auth = betterAuth({ ...betterBasis(), session: { cookieCache: { enabled: maxAge > 0, maxAge: maxAge || 1 } } });
  const body = { email: "ada@bench.example", name: "Ada", password: PASSWORD };
  const answer = await auth.api.signUpEmail({ body, asResponse: true });
  const cookie = answer.headers
    .getSetCookie()
    .map((each) => each.split(";")[0])
    .join("; ");
  return turns([new Headers({ cookie })], async (headers) => (await auth.api.getSession({ headers }))?.user.id);
}

/** Whose a token and a session are, beside better-auth: in a process of its own, as it uses AsyncLocalStorage, which each promise pays for. */
export async function open(): Promise<Opened> {
  const keys = await keysOf(randomBytes(32));
  const sessions = { store: memorySessions() };
  const ours = await new AuthenticationManager({ issuer: ISSUER, audience: AUDIENCE, keys, sessions }).start();
  const { value } = await ours.client.sessions.begin({ subject: "ada" });
  const { accessToken } = await ours.client.issue({ subject: "ada" });
  const groups = [
    {
      work: "a token, while AsyncLocalStorage is in use",
      runs: {
        Steward: turns([accessToken], async (token) => (await ours.client.verify(token)).subject),
        "better-auth, jwt": await betterTokens(),
      },
    },
    {
      work: "a session of a cookie",
      runs: {
        Steward: turns([value], async (one) => (await ours.client.sessions.find(one))?.principal.subject),
        "better-auth": await betterSession(0),
        "better-auth, cookie cache": await betterSession(3_600),
      },
    },
  ];
  return { groups, [Symbol.asyncDispose]: () => ours.stop() };
}
