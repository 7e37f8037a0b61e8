import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from "node:crypto";

/** One message in, one message out: what somebody would write by hand, with a cached key. */
export interface Bare {
  readonly encrypt: (plaintext: Buffer) => Buffer;
  readonly decrypt: (message: Buffer) => Buffer;
}

const TAG = { authTagLength: 16 } as const;

/** AES-256-GCM on a cached KeyObject: `nonce ‖ ciphertext ‖ tag`. */
export function bareGcm(): Bare {
  const key = createSecretKey(randomBytes(32));
  return {
    encrypt(plaintext) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv("aes-256-gcm", key, nonce, TAG);
      return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    },
    decrypt(message) {
      const decipher = createDecipheriv("aes-256-gcm", key, message.subarray(0, 12), TAG);
      decipher.setAuthTag(message.subarray(message.length - 16));
      const plaintext = decipher.update(message.subarray(12, message.length - 16));
      decipher.final();
      return plaintext;
    },
  };
}

/** The same without making one message of the parts: the fastest that `node:crypto` can be, and nothing that can be sent. */
export function barePieces(): (plaintext: Buffer) => void {
  const key = createSecretKey(randomBytes(32));
  return (plaintext) => {
    const cipher = createCipheriv("aes-256-gcm", key, randomBytes(12), TAG);
    cipher.update(plaintext);
    cipher.final();
    cipher.getAuthTag();
  };
}

const WRAPS = Number(process.versions.node.split(".")[0]) >= 22;

/** XAES-256-GCM by hand, its block cipher cached too. */
export function bareXaes(): Bare {
  const block = createCipheriv("aes-256-ecb", createSecretKey(randomBytes(32)), null).setAutoPadding(false);
  const zero = block.update(Buffer.alloc(16));
  const subkey = Buffer.from(zero.map((byte, i) => ((byte << 1) | ((zero[i + 1] ?? 0) >> 7)) & 0xff));
  subkey[15] = (subkey[15] ?? 0) ^ (((zero[0] ?? 0) >> 7) * 0x87);
  const derived = (nonce: Buffer) => {
    const blocks = Buffer.alloc(32);
    for (const half of [0, 1]) {
      blocks.set([0, half + 1, 0x58, 0], half * 16);
      blocks.set(nonce.subarray(0, 12), half * 16 + 4);
      for (let i = 0; i < 16; i++) blocks[half * 16 + i] = (blocks[half * 16 + i] ?? 0) ^ (subkey[i] ?? 0);
    }
    const key = block.update(blocks);
    return WRAPS ? createSecretKey(key) : key;
  };
  return {
    encrypt(plaintext) {
      const nonce = randomBytes(24);
      const cipher = createCipheriv("aes-256-gcm", derived(nonce), nonce.subarray(12), TAG);
      return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    },
    decrypt(message) {
      const nonce = message.subarray(0, 24);
      const decipher = createDecipheriv("aes-256-gcm", derived(nonce), nonce.subarray(12), TAG);
      decipher.setAuthTag(message.subarray(message.length - 16));
      const plaintext = decipher.update(message.subarray(24, message.length - 16));
      decipher.final();
      return plaintext;
    },
  };
}
