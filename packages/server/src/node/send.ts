import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import type { SentAnswer } from "../life/kept.ts";
import { discardStream } from "../life/stream-end.ts";
import { isOver } from "./exchange.ts";

/** A handler's result, serialised: what is sent, and what it says of itself. */
export interface Outgoing {
  /** Of a `Response` alone; else the reply has it. */
  readonly status: number | undefined;
  readonly headers: readonly (readonly [name: string, value: string | readonly string[]])[];
  readonly body: string | Uint8Array | Readable | undefined;
}

const TEXT = [["content-type", "text/plain; charset=utf-8"]] as const;
const JSON_HEADERS = [["content-type", "application/json; charset=utf-8"]] as const;
const BYTES = [["content-type", "application/octet-stream"]] as const;

/**
 * Serialises what a handler has given: text, bytes, a stream, a `Response`, and anything else as JSON.
 *
 * @throws What `JSON.stringify` throws.
 */
export function outgoingOf(result: unknown): Outgoing {
  if (result === undefined) return { status: undefined, headers: [], body: undefined };
  if (typeof result === "string") return { status: undefined, headers: TEXT, body: result };
  if (typeof result === "object" && result !== null) {
    if (result instanceof Uint8Array) return { status: undefined, headers: BYTES, body: result };
    if (result instanceof Response) return ofResponse(result);
    if (result instanceof ReadableStream) return { status: undefined, headers: BYTES, body: ofWeb(result) };
    if (isReadable(result)) return { status: undefined, headers: BYTES, body: result };
  }
  return { status: undefined, headers: JSON_HEADERS, body: JSON.stringify(result) };
}

/** What is going to be sent, for those who ask again. */
export function sentOf(response: ServerResponse, { status, headers, body }: Outgoing): SentAnswer {
  const own = headers.filter(([name]) => name !== "content-type" || status !== undefined || !response.hasHeader(name));
  return {
    status: status ?? response.statusCode,
    headers: { ...response.getHeaders(), ...Object.fromEntries(own) },
    body,
  };
}

function ofResponse(response: Response): Outgoing {
  const cookies = response.headers.getSetCookie();
  const headers: [string, string | readonly string[]][] = [...response.headers].filter(
    ([name]) => name !== "set-cookie",
  );
  if (cookies.length > 0) headers.push(["set-cookie", cookies]);
  return { status: response.status, headers, body: response.body === null ? undefined : ofWeb(response.body) };
}

function ofWeb(stream: ReadableStream): Readable {
  return Readable.fromWeb(stream as NodeReadableStream); // the same streams, typed twice
}

function isReadable(result: object): result is Readable {
  return "pipe" in result && typeof result.pipe === "function";
}

/**
 * Sends it. A stream is sent part by part, and its head with the first part.
 *
 * @param failed Called when a stream fails, or gives what cannot be sent.
 */
export function send(
  response: ServerResponse,
  { status, headers, body }: Outgoing,
  isHead: boolean,
  failed: (error: unknown) => void,
): void {
  if (status !== undefined) response.statusCode = status;
  for (const [name, value] of headers)
    if (name === "set-cookie") response.appendHeader(name, value);
    else if (name !== "content-type" || status !== undefined || !response.hasHeader(name))
      response.setHeader(name, value);
  if (body === undefined || typeof body === "string" || body instanceof Uint8Array) {
    // Who answers HEAD without a body may say itself how long that of GET is.
    const isSaid = isHead && body === undefined && response.hasHeader("content-length");
    if (hasLength(response.statusCode) && !isSaid) response.setHeader("content-length", Buffer.byteLength(body ?? ""));
    response.end(isHead ? undefined : body);
  } else if (isHead || isOver(response)) {
    discardStream(body);
    response.end();
  } else {
    response.on("close", () => body.destroy());
    pump(body, response).catch((error: unknown) => {
      if (!isOver(response)) failed(error);
    });
  }
}

function hasLength(status: number): boolean {
  return status !== 204 && status !== 304;
}

async function pump(body: Readable, response: ServerResponse): Promise<void> {
  for await (const part of body as AsyncIterable<unknown>) {
    if (typeof part !== "string" && !(part instanceof Uint8Array))
      throw new TypeError(`a stream gives text or bytes, not ${typeof part}`);
    if (!response.write(part) && !isOver(response)) await drained(response);
  }
  response.end();
}

/** The client has taken what was written, or has gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.on("drain", done).on("close", done);
  });
}
