import type { CryptoBackend, EncryptionOptions } from "@steward/crypto";
import { from, handler, HttpError, type RequestInput } from "@steward/fastify";
import type { FastifyInstance } from "fastify";
import { tokenLimit } from "../resources/limits.ts";
import { permitted } from "../users/auth.ts";
import { crypto } from "./backend.ts";
import { bytesIn, onInput } from "./input.ts";
import { BACKEND_NAMES, BACKENDS, keyIdOf, KEYSETS } from "./keysets.ts";

/** About 1 MiB of data in base64, with room for a message around it. */
const BODY_BYTES = 1_500_000;

const object = { type: "object", additionalProperties: false } as const;
const backend = { type: "string", minLength: 1, maxLength: 64 } as const;
const base64 = { type: "string", description: "base64 with padding" } as const;

const clear = from.body("clear", {
  ...object,
  required: ["backend", "data"],
  properties: { backend, data: base64, aad: base64 },
});
const sealed = from.body("sealed", {
  ...object,
  required: ["backend", "message"],
  properties: { backend, message: base64, aad: base64 },
});
const unsigned = from.body("unsigned", {
  ...object,
  required: ["backend", "data"],
  properties: { backend, data: base64 },
});
const signed = from.body("signed", {
  ...object,
  required: ["backend", "data", "signature"],
  properties: { backend, data: base64, signature: base64 },
});
const rotation = from.body("rotation", {
  ...object,
  required: ["backend"],
  properties: { backend, immediate: { type: "boolean", default: false } },
});

/** `POST /api/v1/crypto/{encrypt,decrypt,sign,verify}`, for those who may use keys, and `/admin/keys/rotate`. */
export function cryptoRoutes(app: FastifyInstance): void {
  add(app, "encrypt", "Encrypts, under associated data where there is any", clear, async (crypto, input) => {
    const { backend, data, aad } = input;
    const message = await encrypter(crypto, backend).encrypt(bytesIn("data", data), aadOf(aad));
    return { backend, keyId: keyIdOf(message), message: message.toString("base64") };
  });
  add(app, "decrypt", "Decrypts, whichever key of the backend wrote it", sealed, async (crypto, input) => {
    const { backend, message, aad } = input;
    const bytes = bytesIn("message", message);
    const data = await encrypter(crypto, backend).decrypt(bytes, aadOf(aad));
    return { backend, keyId: keyIdOf(bytes), data: data.toString("base64") };
  });
  add(app, "sign", "Signs", unsigned, async (crypto, { backend, data }) => {
    const signature = await signer(crypto, backend).sign(bytesIn("data", data));
    return { backend, keyId: keyIdOf(signature), signature: signature.toString("base64") };
  });
  add(app, "verify", "Verifies, whichever key of the backend signed", signed, async (crypto, input) => {
    const { backend, data, signature } = input;
    const bytes = bytesIn("signature", signature);
    await signer(crypto, backend).verify(bytesIn("data", data), bytes);
    return { backend, keyId: keyIdOf(bytes), valid: true };
  });
  app.post(
    "/admin/keys/rotate",
    { schema: { tags: ["admin"], summary: "Makes a new key" } },
    handler({ limit: tokenLimit, me: permitted("keys:rotate"), crypto, rotation }, async ({ crypto, rotation }) => {
      const { backend, immediate } = rotation;
      if (!Object.hasOwn(KEYSETS, backend)) throw unknown(backend);
      const keyId = await crypto.keys(backend).rotate({ immediate });
      // Another one writes still until every instance surely knows the new one.
      return { backend, keyId, primary: crypto.keys(backend).info().primary === keyId };
    }),
  );
}

function add<T>(
  app: FastifyInstance,
  name: string,
  summary: string,
  input: RequestInput<T, "body", string>,
  action: (crypto: CryptoBackend, input: T) => Promise<object>,
): void {
  app.post(
    `/api/v1/crypto/${name}`,
    { bodyLimit: BODY_BYTES, schema: { tags: ["crypto"], summary } },
    handler({ me: permitted("crypto:use"), crypto, input }, ({ crypto, input }) =>
      onInput(() => action(crypto, input)),
    ),
  );
}

function encrypter(crypto: CryptoBackend, name: string) {
  if (Object.hasOwn(BACKENDS.aead, name)) return crypto.aead(name);
  if (Object.hasOwn(BACKENDS.hybrid, name)) return crypto.hybrid(name);
  throw refused(name, "signs; it does not encrypt");
}

function signer(crypto: CryptoBackend, name: string) {
  if (Object.hasOwn(BACKENDS.mac, name)) return crypto.mac(name);
  if (Object.hasOwn(BACKENDS.signature, name)) return crypto.signature(name);
  throw refused(name, "encrypts; it does not sign");
}

function refused(name: string, does: string): HttpError {
  if (!BACKEND_NAMES.includes(name)) return unknown(name);
  return new HttpError(400, `the backend ${name} ${does}`, { code: "CRYPTO_KEYSET_MISUSED" });
}

function unknown(name: string): HttpError {
  const detail = `there is no backend ${JSON.stringify(name)}; there are ${BACKEND_NAMES.join(", ")}`;
  return new HttpError(404, detail, { code: "CRYPTO_KEYSET_UNKNOWN" });
}

function aadOf(aad: string | undefined): EncryptionOptions {
  return aad === undefined ? {} : { aad: bytesIn("aad", aad) };
}
