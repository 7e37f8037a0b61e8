import type { CryptoBackend, EncryptionOptions } from "@steward/crypto";
import { from, handler, HttpError, type RequestInput } from "@steward/fastify";
import type { FastifyInstance } from "fastify";
import { crypto } from "../resources.ts";
import { bytesIn } from "./base64.ts";
import { permitted } from "../users/auth.ts";
import { BACKENDS, keyIdOf, type Backend } from "./keysets.ts";
import { onInput } from "./refusals.ts";
import { unknownBackend } from "./rotation.ts";

const PATH = "/api/v1/crypto";
/** About 1 MiB of data in base64, with room for a message around it. */
const BODY_BYTES = 1_500_000;
const tags = ["crypto"];

const backend = { type: "string", minLength: 1, maxLength: 64 } as const;
const base64 = { type: "string", description: "base64 with padding" } as const;

/** What the body of each request holds. */
interface Input {
  readonly encrypt: { readonly backend: string; readonly data: string; readonly aad?: string };
  readonly decrypt: { readonly backend: string; readonly message: string; readonly aad?: string };
  readonly sign: { readonly backend: string; readonly data: string };
  readonly verify: { readonly backend: string; readonly data: string; readonly signature: string };
}

const object = { type: "object", additionalProperties: false } as const;

const INPUTS: { readonly [K in keyof Input]: RequestInput<Input[K], "body", K> } = {
  encrypt: from.body("encrypt", {
    ...object,
    required: ["backend", "data"],
    properties: { backend, data: base64, aad: base64 },
  }),
  decrypt: from.body("decrypt", {
    ...object,
    required: ["backend", "message"],
    properties: { backend, message: base64, aad: base64 },
  }),
  sign: from.body("sign", { ...object, required: ["backend", "data"], properties: { backend, data: base64 } }),
  verify: from.body("verify", {
    ...object,
    required: ["backend", "data", "signature"],
    properties: { backend, data: base64, signature: base64 },
  }),
};

type Action<K extends keyof Input> = (crypto: CryptoBackend, input: Input[K]) => Promise<object>;

const ACTIONS: { readonly [K in keyof Input]: Action<K> } = {
  encrypt: async (crypto, { backend, data, aad }) => {
    const message = await encrypter(crypto, backend).encrypt(bytesIn("data", data), aadOf(aad));
    return { backend, keyId: keyIdOf(message), message: message.toString("base64") };
  },
  decrypt: async (crypto, { backend, message, aad }) => {
    const bytes = bytesIn("message", message);
    const data = await encrypter(crypto, backend).decrypt(bytes, aadOf(aad));
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

/** `POST /api/v1/crypto/{encrypt,decrypt,sign,verify}`, for those who may use keys. */
export function cryptoRoutes(app: FastifyInstance): void {
  addAction(app, "encrypt", "Encrypts, under associated data where there is any");
  addAction(app, "decrypt", "Decrypts, whichever key of the backend wrote it");
  addAction(app, "sign", "Signs");
  addAction(app, "verify", "Verifies, whichever key of the backend signed");
}

function addAction<K extends keyof Input>(app: FastifyInstance, name: K, summary: string): void {
  const needs = { me: permitted("crypto:use"), crypto, input: INPUTS[name] as RequestInput<Input[K], "body", string> }; // one K says what both are
  app.post(
    `${PATH}/${name}`,
    { bodyLimit: BODY_BYTES, schema: { tags, summary } },
    handler(needs, ({ crypto, input }) => onInput(() => ACTIONS[name](crypto, input))),
  );
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

function misused(name: string, does: string): HttpError {
  return new HttpError(400, `the backend ${name} ${does}`, { code: "CRYPTO_KEYSET_MISUSED" });
}

function aadOf(aad: string | undefined): EncryptionOptions {
  return aad === undefined ? {} : { aad: bytesIn("aad", aad) };
}
