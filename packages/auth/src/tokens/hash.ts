import { createHash } from "node:crypto";

/** What a token is remembered by: nothing that could be shown to anybody as a token. */
export function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("base64");
}
