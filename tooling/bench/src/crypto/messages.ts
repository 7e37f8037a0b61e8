import { randomBytes } from "node:crypto";
import { CryptoBackendManager, type CryptoBackend } from "@steward/crypto";
import forge from "node-forge";
import type { Group, Opened, Run } from "../arms/together.ts";
import { bareGcm, barePieces, bareXaes } from "./bare.ts";

const SIZES = [1_024, 65_536, 1_048_576] as const;

function times(work: () => unknown): Run {
  return async (count) => {
    for (let i = 0; i < count; i++) {
      const result = work();
      if (result instanceof Promise) await result;
    }
  };
}

/** The keyset layer beside hand-written calls of the same suites, and at 1 kB beside node-forge. */
export async function open(): Promise<Opened> {
  const keysets = { xaes: { algorithm: "aes-256-gcm" }, gcm: { algorithm: "aes-256-gcm-plain" } } as const;
  const manager = await new CryptoBackendManager({ keysets, messageBlock: 2 ** 30 }).start();
  return {
    batchMs: 25,
    groups: SIZES.flatMap((size) => groupsOf(manager.client, size)),
    [Symbol.asyncDispose]: () => manager.stop(),
  };
}

function groupsOf(client: CryptoBackend, size: number): Group[] {
  const plaintext = randomBytes(size);
  const suites = [
    ["AES-256-GCM", bareGcm(), client.aead("gcm")],
    ["XAES", bareXaes(), client.aead("xaes")],
  ] as const;
  return suites.flatMap(([name, bare, box]) => {
    const [bareMessage, message] = [bare.encrypt(plaintext), box.encryptSync(plaintext)];
    const encrypt: Record<string, Run> = {
      Steward: times(() => box.encryptSync(plaintext)),
      "Steward, awaited": times(() => box.encrypt(plaintext)),
      "by hand": times(() => bare.encrypt(plaintext)),
    };
    if (size === SIZES[0]) Object.assign(encrypt, forgeRuns(plaintext), { "in pieces": times(piecesOf(plaintext)) });
    const decrypt = {
      Steward: times(() => box.decryptSync(message)),
      "by hand": times(() => bare.decrypt(bareMessage)),
    };
    return [
      { work: `${name} encrypt, ${size} bytes`, runs: encrypt },
      { work: `${name} decrypt, ${size} bytes`, runs: decrypt },
    ];
  });
}

/** The fastest that `node:crypto` can be, and nothing that can be sent. */
function piecesOf(plaintext: Buffer): () => void {
  const pieces = barePieces();
  return () => pieces(plaintext);
}

/** AES-256-GCM of node-forge, with and without the turn from and to bytes: at its defaults and at its best. */
function forgeRuns(plaintext: Buffer): Record<string, Run> {
  const key = forge.random.getBytesSync(32);
  const seal = (bytes: string) => {
    const cipher = forge.cipher.createCipher("AES-GCM", key);
    const iv = forge.random.getBytesSync(12);
    cipher.start({ iv, tagLength: 128 });
    cipher.update(forge.util.createBuffer(bytes));
    cipher.finish();
    return { iv, cipher };
  };
  const text = plaintext.toString("latin1");
  return {
    "node-forge, bytes": times(() => {
      const { iv, cipher } = seal(plaintext.toString("latin1"));
      return Buffer.from(iv + cipher.output.getBytes() + cipher.mode.tag.getBytes(), "latin1");
    }),
    "node-forge, strings": times(() => seal(text)),
  };
}
