import type { KeyObject } from "node:crypto";
import { GcmAead, type Aead, type NonceSource } from "./aead.ts";
import type { Engine } from "./engines/engine.ts";

const NONCE_BYTES = 12;
const EXTENDED_NONCE_BYTES = 24;
const HALF = 12;

/** AES-256-GCM with a random 96-bit nonce: `nonce 12 ‖ ciphertext ‖ tag 16`. */
export function aesGcm(engine: Engine, key: KeyObject, random?: NonceSource): Aead {
  return new GcmAead(engine, NONCE_BYTES, (nonce) => ({ key, nonce }), random);
}

/**
 * XAES-256-GCM (c2sp.org/XAES-256-GCM): AES-256-GCM under a key derived from each message's own 192-bit random
 * nonce, so 2^80 messages are safe under one key: `nonce 24 ‖ ciphertext ‖ tag 16`.
 */
export function xaesGcm(engine: Engine, key: KeyObject, random?: NonceSource): Aead {
  const encrypt = engine.blockCipher(key);
  const subkey = doubled(encrypt(new Uint8Array(16)));
  const template = new Uint8Array(32);
  for (const half of [0, 1]) {
    template.set(subkey, half * 16);
    template[half * 16 + 1] = (subkey[1] ?? 0) ^ (half + 1);
    template[half * 16 + 2] = (subkey[2] ?? 0) ^ 0x58;
  }
  const blocks = new Uint8Array(32);
  const parts = (nonce: Uint8Array): { key: KeyObject | Uint8Array; nonce: Uint8Array } => {
    blocks.set(template);
    for (let i = 0; i < HALF; i++) {
      const byte = (nonce[i] ?? 0) ^ (template[i + 4] ?? 0);
      blocks[i + 4] = byte;
      blocks[i + 20] = byte;
    }
    return { key: engine.derivedKey(encrypt(blocks)), nonce: nonce.subarray(HALF) };
  };
  return new GcmAead(engine, EXTENDED_NONCE_BYTES, parts, random);
}

/** Twice a block in GF(2^128), as CMAC derives its subkey. */
function doubled(block: Uint8Array): Uint8Array {
  const out = new Uint8Array(16);
  for (let i = 0; i < 16; i++) out[i] = (((block[i] ?? 0) << 1) | ((block[i + 1] ?? 0) >> 7)) & 0xff;
  out[15] = (out[15] ?? 0) ^ (((block[0] ?? 0) >> 7) * 0x87);
  return out;
}
