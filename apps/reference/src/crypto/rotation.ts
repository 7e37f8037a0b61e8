import type { CryptoBackend } from "@steward/crypto";
import { from, HttpError } from "@steward/fastify";
import { BACKENDS, KEYSETS } from "./keysets.ts";

/** Which keyset gets a new key. */
export const rotation = from.body("rotation", {
  type: "object",
  additionalProperties: false,
  required: ["backend"],
  properties: {
    backend: { type: "string", minLength: 1, maxLength: 64 },
    immediate: { type: "boolean", default: false },
  },
});

/** Answers with the id of the new key, and whether it writes already or waits until every instance knows it. */
export async function rotate(
  crypto: CryptoBackend,
  { backend, immediate = false }: { readonly backend: string; readonly immediate?: boolean },
): Promise<object> {
  if (!Object.hasOwn(KEYSETS, backend)) throw unknownBackend(backend);
  const keyId = await crypto.keys(backend).rotate({ immediate });
  return { backend, keyId, primary: crypto.keys(backend).info().primary === keyId };
}

/** The error of a request for a keyset that there is not. */
export function unknownBackend(name: string): HttpError {
  const detail = `there is no backend ${JSON.stringify(name)}; there are ${Object.keys(BACKENDS).join(", ")}`;
  return new HttpError(404, detail, { code: "CRYPTO_KEYSET_UNKNOWN" });
}
