import { InvalidInput } from "@steward/fastify";

/**
 * The bytes of a field of the body, in base64 written the one right way.
 * @throws {InvalidInput} otherwise.
 */
export function bytesIn(field: string, text: string): Buffer {
  const bytes = Buffer.from(text, "base64");
  // Node skips what it does not know and takes several spellings; two texts must never be the same message.
  if (bytes.toString("base64") === text) return bytes;
  const message = "String should be base64 with padding, without spaces";
  throw new InvalidInput([{ path: ["body", field], code: "base64", message }]);
}
