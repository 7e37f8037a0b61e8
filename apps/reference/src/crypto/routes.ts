import type { CryptoBackend } from "@steward/crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { withNeeds, type Entrance } from "../glue.ts";
import { ApiError } from "../problem.ts";
import { crypto } from "../resources.ts";
import { settings } from "../settings.ts";
import { requireAdmin } from "./admin.ts";
import { bytesIn } from "./base64.ts";
import { BACKENDS, keyIdOf, KEYSETS, type Backend } from "./keysets.ts";
import { onInput } from "./refusals.ts";

const PATH = "/api/v1/crypto";
/** About 1 MiB of data in base64, with room for a message around it. */
const BODY_BYTES = 1_500_000;

const backend = { type: "string", minLength: 1, maxLength: 64 } as const;
const base64 = { type: "string" } as const;

function bodyOf<const P extends Record<string, unknown>>(properties: P, required: readonly (keyof P)[]) {
  return {
    type: "object",
    additionalProperties: false,
    required: ["backend", ...required],
    properties: { backend, ...properties },
  };
}

const BODIES = {
  encrypt: bodyOf({ data: base64, aad: base64 }, ["data"]),
  decrypt: bodyOf({ message: base64, aad: base64 }, ["message"]),
  sign: bodyOf({ data: base64 }, ["data"]),
  verify: bodyOf({ data: base64, signature: base64 }, ["data", "signature"]),
  rotate: bodyOf({ immediate: { type: "boolean", default: false } }, []),
};

/** What the body of each request holds once its schema has let it through. */
interface Input {
  readonly encrypt: { readonly backend: string; readonly data: string; readonly aad?: string };
  readonly decrypt: { readonly backend: string; readonly message: string; readonly aad?: string };
  readonly sign: { readonly backend: string; readonly data: string };
  readonly verify: { readonly backend: string; readonly data: string; readonly signature: string };
}

type Action<K extends keyof Input> = (crypto: CryptoBackend, input: Input[K]) => Promise<object>;

const ACTIONS: { readonly [K in keyof Input]: Action<K> } = {
  encrypt: async (crypto, { backend, data, aad }) => {
    const message = await encrypter(crypto, backend).encrypt(bytesIn("data", data), { aad: aadOf(aad) });
    return { backend, keyId: keyIdOf(message), message: message.toString("base64") };
  },
  decrypt: async (crypto, { backend, message, aad }) => {
    const bytes = bytesIn("message", message);
    const data = await encrypter(crypto, backend).decrypt(bytes, { aad: aadOf(aad) });
    return { backend, keyId: keyIdOf(bytes), data: data.toString("base64") };
  },
  sign: async (crypto, { backend, data }) => {
    const signature = await signer(crypto, backend).sign(bytesIn("data", data));
    return { backend, keyId: keyIdOf(signature), signature: signature.toString("base64") };
  },
  verify: async (crypto, { backend, data, signature }) => {
    const bytes = bytesIn("signature", signature);
    await signer(crypto, backend).verify(bytesIn("data", data), bytes);
    return { backend, keyId: keyIdOf(bytes), valid: true };
  },
};

/** `POST /api/v1/crypto/{encrypt,decrypt,sign,verify}` for everybody, `POST /api/v1/crypto/rotate` for the administrator. */
export function cryptoRoutes(app: FastifyInstance, way: Entrance): void {
  addAction(app, way, "encrypt");
  addAction(app, way, "decrypt");
  addAction(app, way, "sign");
  addAction(app, way, "verify");
  app.post(`${PATH}/rotate`, {
    schema: { body: BODIES.rotate },
    handler: withNeeds(way, { crypto, settings }, ({ crypto, settings }, request, reply) => {
      requireAdmin(request, reply, settings.adminToken);
      return rotate(crypto, request);
    }),
  });
}

function addAction<K extends keyof Input>(app: FastifyInstance, way: Entrance, name: K): void {
  app.post(`${PATH}/${name}`, {
    schema: { body: BODIES[name] },
    bodyLimit: BODY_BYTES,
    handler: withNeeds(
      way,
      { crypto },
      ({ crypto }, request) => onInput(() => ACTIONS[name](crypto, request.body as Input[K])), // the schema says so
    ),
  });
}

/** Answers with the id of the new key, and whether it writes already or waits until every instance knows it. */
async function rotate(crypto: CryptoBackend, { body }: FastifyRequest): Promise<object> {
  const { backend, immediate } = body as { backend: string; immediate: boolean }; // the schema says so
  if (!Object.hasOwn(KEYSETS, backend)) throw unknownBackend(backend);
  const keyId = await crypto.keys(backend).rotate({ immediate });
  return { backend, keyId, primary: crypto.keys(backend).info().primary === keyId };
}

function encrypter(crypto: CryptoBackend, name: string) {
  const { purpose } = known(name);
  if (purpose === "aead") return crypto.aead(name);
  if (purpose === "hybrid") return crypto.hybrid(name);
  throw misused(name, "signs; it does not encrypt");
}

function signer(crypto: CryptoBackend, name: string) {
  const { purpose } = known(name);
  if (purpose === "mac") return crypto.mac(name);
  if (purpose === "signature") return crypto.signature(name);
  throw misused(name, "encrypts; it does not sign");
}

function known(name: string): (typeof BACKENDS)[Backend] {
  if (isBackend(name)) return BACKENDS[name];
  throw unknownBackend(name);
}

function isBackend(name: string): name is Backend {
  return Object.hasOwn(BACKENDS, name);
}

function unknownBackend(name: string): ApiError {
  const detail = `there is no backend ${JSON.stringify(name)}; there are ${Object.keys(BACKENDS).join(", ")}`;
  return new ApiError(404, detail, { code: "CRYPTO_KEYSET_UNKNOWN" });
}

function misused(name: string, does: string): ApiError {
  return new ApiError(400, `the backend ${name} ${does}`, { code: "CRYPTO_KEYSET_MISUSED" });
}

function aadOf(aad: string | undefined): Buffer | undefined {
  return aad === undefined ? undefined : bytesIn("aad", aad);
}
