import { isStream } from "./stream.ts";

/** The bytes of a body that is sent at once; `undefined` for one that comes part by part. */
export function bytesIn(body: unknown): Buffer | undefined {
  if (body === undefined || body === null) return Buffer.alloc(0);
  if (typeof body === "string") return Buffer.from(body);
  return body instanceof Uint8Array ? Buffer.from(body.buffer, body.byteOffset, body.byteLength) : undefined;
}

/**
 * The body of a `Response` that was made of text or bytes, before it is sent: all of it comes within one turn of the
 * event loop. `undefined` for one that is longer than `maxBytes`, and for a stream, which is not waited for.
 */
export async function wholeBody(answer: Response, maxBytes: number): Promise<Buffer | undefined> {
  if (isStream(answer) || answer.bodyUsed) return undefined;
  if (answer.body === null) return Buffer.alloc(0);
  const reader = answer.clone().body?.getReader();
  if (reader === undefined) return undefined;
  const later = new Promise<undefined>((resolve) => setImmediate(resolve, undefined));
  const parts: Uint8Array[] = [];
  let size = 0;
  while (size <= maxBytes) {
    const part = await Promise.race([reader.read().catch(() => undefined), later]); // who sends it learns of its error
    if (part === undefined) break;
    if (part.done) return Buffer.concat(parts);
    parts.push(part.value);
    size += part.value.byteLength;
  }
  reader.cancel().catch(() => {}); // the other half is sent
  return undefined;
}
