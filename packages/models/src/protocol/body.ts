import { WireProblem } from "./datatypes.ts";

/** Says how many bytes of a body are JSON; what follows are the bytes of tensors. */
export const HEADER_LENGTH = "inference-header-content-length";

/** The name of bytes behind the JSON, among the extensions of a server. */
export const BINARY_EXTENSION = "binary_tensor_data";

/** A body that is longer than its bound. */
export class TooLarge extends WireProblem {}

/** A body to be sent. */
export interface WireBody {
  readonly content: string | ArrayBuffer;
  readonly headers: Readonly<Record<string, string>>;
}

/** A body of JSON, with the bytes of tensors behind it where there are any. */
export function bodyOf(fields: object, raw: readonly Uint8Array[]): WireBody {
  const json = JSON.stringify(fields);
  if (raw.length === 0) return { content: json, headers: { "content-type": "application/json" } };
  const head = Buffer.from(json);
  const headers = { "content-type": "application/octet-stream", [HEADER_LENGTH]: String(head.byteLength) };
  return { content: joined([head, ...raw]), headers };
}

function joined(parts: readonly Uint8Array[]): ArrayBuffer {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes.buffer;
}

/** A body that came: its JSON, and what is behind it. */
export interface Received {
  readonly json: unknown;
  readonly raw: RawReader;
}

/**
 * Reads a body up to a bound; an abort of the signal ends the wait for more.
 *
 * @param headerLength what {@link HEADER_LENGTH} says.
 * @throws {WireProblem} when it is longer, has no JSON, or less of it than the header says.
 */
export async function received(
  body: ReadableStream<Uint8Array> | null,
  headerLength: string | null,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Received> {
  const bytes = await bytesOf(body, maxBytes, signal);
  const length = headerLength === null ? bytes.byteLength : lengthOf(headerLength, bytes.byteLength);
  try {
    const json = JSON.parse(bytes.toString("utf8", 0, length)) as unknown;
    return { json, raw: new RawReader(bytes.subarray(length)) };
  } catch {
    throw new WireProblem("the body is no JSON");
  }
}

async function bytesOf(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  let size = 0;
  const into = new WritableStream<Uint8Array>({
    write(part) {
      const end = size + part.byteLength;
      if (end > maxBytes) throw new TooLarge(`a body of more than ${maxBytes} bytes`);
      if (end > bytes.byteLength) bytes = moved(bytes, size, Math.min(maxBytes, Math.max(end, 2 * bytes.byteLength)));
      bytes.set(part, size);
      size = end;
    },
  });
  await body?.pipeTo(into, signal === undefined ? {} : { signal });
  return bytes.subarray(0, size);
}

/** Parts are not kept: of a body that comes byte by byte they take a hundred times its memory. */
function moved(bytes: Buffer, size: number, room: number): Buffer<ArrayBuffer> {
  const more = Buffer.allocUnsafeSlow(room);
  more.set(bytes.subarray(0, size));
  return more;
}

function lengthOf(header: string, size: number): number {
  const length = /^[0-9]{1,15}$/.test(header) ? Number(header) : Number.POSITIVE_INFINITY;
  if (length <= size) return length;
  throw new WireProblem(`${HEADER_LENGTH} must be a number of bytes, at most the ${size} of the body`);
}

/** Gives the bytes behind the JSON to tensors, in their order. */
export class RawReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** @throws {WireProblem} where there are not so many. */
  take(name: string, size: unknown): Uint8Array {
    const left = this.#bytes.byteLength - this.#at;
    if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0 || size > left)
      throw new WireProblem(`"${name}": binary_data_size must be a number of bytes, at most the ${left} that are left`);
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }

  /** @throws {WireProblem} where some are left. */
  end(): void {
    const left = this.#bytes.byteLength - this.#at;
    if (left > 0) throw new WireProblem(`${left} bytes behind the JSON belong to no tensor`);
  }
}
