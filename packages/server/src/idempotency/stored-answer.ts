import type { IdempotencyEntry, KeptAnswer } from "@steward/core";

/** An answer as text, for stores that keep texts. */
export function answerText({ status, headers, body }: KeptAnswer): string {
  return JSON.stringify({ status, headers, body: body === undefined ? null : Buffer.from(body).toString("base64") });
}

/** What {@link answerText} wrote. */
interface Written {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string | null;
}

/** What stands under a key; without a text the request is being answered. */
export function entryOf(fingerprint: string, text: string | null | undefined): IdempotencyEntry {
  if (text === null || text === undefined || text === "") return { fingerprint, answer: undefined };
  const { status, headers, body } = JSON.parse(text) as Written; // we wrote it
  return {
    fingerprint,
    answer: { status, headers, body: body === null ? undefined : Buffer.from(body, "base64") },
  };
}
