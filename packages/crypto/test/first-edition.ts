import { readFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type * as Crypto from "../src/index.ts";

const folder = join(import.meta.dirname, "../../test/fixtures/first-edition");

/** What the first edition (commit 8ee3334) wrote: see the README beside the fixtures. */
export interface FirstEdition {
  readonly kek: { readonly key: string; readonly id: string };
  readonly store: StoreDump;
  readonly messages: readonly {
    readonly keyset: string;
    readonly purpose: "aead" | "stream" | "hybrid";
    readonly kind: "none" | "text" | "bytes" | "pairs" | "no pairs";
    readonly aad?: string | Readonly<Record<string, string>>;
    readonly plaintext: string;
    readonly message: string;
  }[];
  readonly signatures: readonly {
    readonly keyset: string;
    readonly purpose: "mac" | "signature";
    readonly message: string;
    readonly signature: string;
  }[];
  readonly states: Readonly<Record<"disabled" | "destroyed" | "primary" | "pending", number>> & {
    readonly keyset: string;
    readonly underDisabled: string;
    readonly underDestroyed: string;
  };
  readonly hashes: readonly { readonly typed: string; readonly password: string; readonly hash: string }[];
  readonly passphrase: { readonly passphrase: string; readonly store: StoreDump; readonly message: string };
  readonly cleartext: { readonly store: StoreDump; readonly message: string };
  readonly pkcs12: { readonly passphrase: string; readonly file: string; readonly privateKeyPem: string };
}

/** Keysets by name, their bytes as base64. */
export type StoreDump = Readonly<Record<string, { readonly revision: number; readonly blob: string }>>;

function unpacked(name: string): Buffer {
  return gunzipSync(readFileSync(join(folder, name)));
}

/** What the first edition wrote. */
export function written(): FirstEdition {
  return JSON.parse(unpacked("first-edition.json.gz").toString("utf8")) as FirstEdition; // checked in beside it
}

/** The first edition itself, as one module, so that both can run side by side. */
export async function firstEdition(): Promise<typeof Crypto> {
  const out = join(import.meta.dirname, "../first-edition");
  mkdirSync(out, { recursive: true });
  const file = join(out, "first-edition.mjs");
  writeFileSync(file, unpacked("first-edition.mjs.gz"));
  return (await import(file)) as typeof Crypto; // what both have in common
}

/** A store that begins with what was dumped, and can be looked into. */
export function storeOf(dump: StoreDump = {}): Crypto.KeyStore {
  const kept = new Map(
    Object.entries(dump).map(([name, { revision, blob }]) => [name, { revision, blob: Buffer.from(blob, "base64") }]),
  );
  return {
    kind: "dump",
    load: async (name) => kept.get(name),
    async compareAndSet(name, expected, next) {
      if ((kept.get(name)?.revision ?? 0) !== expected) return false;
      kept.set(name, { revision: next.revision, blob: Buffer.from(next.blob) });
      return true;
    },
  };
}
