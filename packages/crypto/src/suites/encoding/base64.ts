const ALPHABET = Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", "latin1");
const PADDING = 0x3d;
const VALUES = new Uint8Array(256).fill(0xff);
for (const [value, letter] of ALPHABET.entries()) VALUES[letter] = value;

/** Base64 as bytes. Keys pass through here: bytes can be erased, the text of `toString("base64")` cannot. */
export function encodeBase64(bytes: Uint8Array): Buffer {
  const out = Buffer.alloc(Math.ceil(bytes.length / 3) * 4, PADDING);
  for (let from = 0, at = 0; from < bytes.length; from += 3, at += 4) {
    const left = bytes.length - from;
    const group = ((bytes[from] ?? 0) << 16) | ((bytes[from + 1] ?? 0) << 8) | (bytes[from + 2] ?? 0);
    out[at] = ALPHABET[group >> 18] ?? 0;
    out[at + 1] = ALPHABET[(group >> 12) & 63] ?? 0;
    if (left > 1) out[at + 2] = ALPHABET[(group >> 6) & 63] ?? 0;
    if (left > 2) out[at + 3] = ALPHABET[group & 63] ?? 0;
  }
  return out;
}

/** The bytes of base64 that {@link encodeBase64} wrote; `undefined` where it is anything else. */
export function decodeBase64(text: Uint8Array): Buffer | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.at(-1) !== PADDING ? 0 : text.at(-2) !== PADDING ? 1 : 2;
  const out = Buffer.alloc((text.length / 4) * 3 - padding);
  let [group, at] = [0, 0];
  for (let from = 0; from < text.length - padding; from++) {
    const value = VALUES[text[from] ?? 0] ?? 0xff;
    if (value === 0xff) return undefined;
    group = ((group << 6) | value) & 0xff_ffff;
    if (from % 4 > 0) out[at++] = (group >> (6 - 2 * (from % 4))) & 0xff;
  }
  const unused = padding === 1 ? group & 3 : padding === 2 ? group & 15 : 0;
  return unused === 0 ? out : undefined;
}
