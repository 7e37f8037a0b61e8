import type { webcrypto } from "node:crypto";
import type { TokenKey, TokenKeys } from "@steward/core";
import type { Key } from "../snapshot.ts";
import type { KeysetUse } from "./use.ts";
import { shownId } from "../record/transitions.ts";

/**
 * The keys of JSON web tokens, for a library that makes and verifies them: the port `TokenKeys`. The key itself cannot be
 * exported. A new key verifies, and is in {@link jwks}, for `propagationMs` before it signs.
 */
export class TokenKeyset implements TokenKeys {
  /** Name of the keyset. */
  readonly name: string;
  readonly #use: KeysetUse<"token">;

  /** @internal */
  constructor(use: KeysetUse<"token">) {
    this.name = use.name;
    this.#use = use;
  }

  /** The key that signs new tokens. @throws {RESOURCE_UNAVAILABLE} when the resource does not run. */
  async signing(): Promise<TokenKey> {
    const use = this.#use;
    use.ready();
    const key = use.parts.keyset.keyToWrite();
    const { token } = use.primitive(key);
    use.report("sign", key.id);
    return { kid: kidOf(key), algorithm: token.algorithm, key: await token.signing() };
  }

  /**
   * The key of that id, after a look at the store where it is not known here, of which there are fifty a second at most;
   * `undefined` where there is none, or it is disabled or destroyed.
   * @throws {CRYPTO_STORE_UNAVAILABLE} when the store does not answer that look.
   */
  async verifying(kid: string): Promise<TokenKey | undefined> {
    const use = this.#use;
    use.ready();
    const id = idOf(kid);
    if (id === undefined) return undefined;
    let key = this.#find(id);
    if (key === undefined && !use.parts.keyset.snapshot.record.keys.some((known) => known.id === id)) {
      await use.parts.keyset.refreshForUnknown();
      key = this.#find(id);
    }
    use.report("verify", id);
    if (key === undefined) return undefined;
    key.usage.reads++;
    const { token } = use.primitive(key);
    return { kid, algorithm: token.algorithm, key: await token.verifying() };
  }

  /** The public halves of all keys that verify, those that do not sign yet included. Empty for `token-hs256`. */
  async jwks(): Promise<{ readonly keys: readonly webcrypto.JsonWebKey[] }> {
    const use = this.#use;
    use.ready();
    const keys = [...use.parts.keyset.snapshot.keys].flatMap((key) => {
      const { token } = use.primitive(key);
      const jwk = token.publicJwk();
      return jwk === undefined ? [] : [{ ...jwk, kid: kidOf(key), alg: token.algorithm, use: "sig" }];
    });
    return { keys };
  }

  /** Calls `listener` when the keys are others than before, until the returned function is called. */
  onChange(listener: () => void): () => void {
    const { listeners } = this.#use.parts.keyset;
    const own = (): void => listener(); // the same function may be given twice
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  #find(id: number): Key | undefined {
    return this.#use.parts.keyset.snapshot.key(id);
  }
}

function kidOf(key: Key): string {
  return shownId(key.id);
}

/** The number that an id of a token stands for; `undefined` for any text that is none. */
function idOf(kid: string): number | undefined {
  return /^[0-9a-f]{8}$/.test(kid) ? Number.parseInt(kid, 16) : undefined;
}
