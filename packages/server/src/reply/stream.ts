import {
  assertShape,
  recognised,
  recordOf,
  shape,
  text,
  wholeNumber,
  type Rule,
  type Shape,
} from "@steward/core/driver";

/** How a stream is sent. */
export interface StreamOptions {
  /** Default `application/octet-stream`. */
  readonly contentType?: string;
  /** Further headers of the answer. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * What the parts go through, such as a `CompressionStream`. Unlike those of a stream that you have piped yourself by
   * `pipeThrough`, the parts are known to have ended then before what they use is released.
   */
  readonly through?: Through;
}

/** A web transform of bytes: both of its ends. */
export interface Through {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

/** What may be sent part by part. */
type Parts<T> = AsyncIterable<T> | Iterable<T>;

const iterable: Rule = recognised(
  (value) => typeof value === "object" && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value),
  "an iterable of parts",
);

const streamShape: Shape<StreamOptions> = shape<StreamOptions>(() => ({
  contentType: text(),
  headers: recordOf(text(true)),
  through: recognised(
    (value) => typeof value === "object" && value !== null && "readable" in value && "writable" in value,
    "a transform with `readable` and `writable`",
  ),
}));

/**
 * An answer that is sent part by part, for a handler to return. When its client goes, the parts end before what they
 * use is released.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { stream } from "@steward/server";
 * async function* rows(): AsyncGenerator<string> {
 *   yield "a,b\n";
 *   yield "1,2\n";
 * }
 * const answer = stream(rows(), { contentType: "text/csv" });
 * console.log(answer.headers.get("content-type")); // => text/csv
 * ```
 */
export function stream(parts: Parts<string | Uint8Array>, options: StreamOptions = {}): Response {
  assertShape("stream", iterable, parts);
  assertShape("stream", streamShape, options);
  const { contentType = "application/octet-stream", headers = {}, through } = options;
  const whole: ReadableStream<Uint8Array> = ReadableStream.from(bytesOf(parts));
  const body = through === undefined ? whole : piped(whole, through);
  const answer = new Response(body, { headers: { ...headers, "content-type": contentType } });
  streams.add(answer);
  return answer;
}

const streams = new WeakSet<Response>();

/** Whether an answer comes part by part, however long that takes. */
export function isStream(answer: Response): boolean {
  return streams.has(answer) || answer.headers.has("transfer-encoding");
}

/**
 * Sends parts through a transform, and ends when both have ended: what `pipeThrough` gives knows nothing of what goes into
 * it. A part is asked for while a read waits: a `CompressionStream` of Node's would take 16,384 of them ahead.
 */
function piped(source: ReadableStream<Uint8Array>, { readable, writable }: Through): ReadableStream<Uint8Array> {
  const [input, reader, writer] = [source.getReader(), readable.getReader(), writable.getWriter()];
  writer.closed.catch(() => {}); // who reads learns of it
  let feeding: Promise<void> | undefined;
  let isWanted = true;
  let goOn = (): void => {};
  const want = (): void => {
    isWanted = true;
    goOn();
    feeding ??= feed();
    feeding.catch(() => {}); // as above
  };
  const feed = async (): Promise<void> => {
    try {
      for (;;) {
        if (!isWanted) await new Promise<void>((resolve) => (goOn = resolve));
        const { done, value } = await input.read();
        if (done) return await writer.close();
        await writer.write(value);
      }
    } catch (error) {
      await Promise.allSettled([writer.abort(error), input.cancel(error)]);
      throw error;
    }
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        want();
        const { done, value } = await reader.read();
        isWanted = false;
        if (!done) return controller.enqueue(value);
        await feeding;
        controller.close();
      },
      async cancel(reason) {
        const cancelled = input.cancel(reason);
        isWanted = true;
        goOn();
        await Promise.allSettled([reader.cancel(reason), cancelled, feeding]);
      },
    },
    { highWaterMark: 0 },
  );
}

async function* bytesOf(parts: Parts<string | Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const part of parts) yield typeof part === "string" ? Buffer.from(part) : part;
}

/** One server-sent event. */
export interface ServerEvent {
  /** Text as it is; anything else as JSON. */
  readonly data: unknown;
  /** Name of the event; `message` for the browser where there is none. */
  readonly event?: string;
  /** What the browser sends as `last-event-id` when it comes back. */
  readonly id?: string;
  /** How long the browser waits before it comes back, in ms. */
  readonly retryMs?: number;
}

const line: Rule = recognised((value) => typeof value === "string" && !/[\r\n\0]/.test(value), "one line of text");

const eventShape: Shape<ServerEvent> = shape<ServerEvent>(() => ({
  data: recognised(() => true, "data"),
  event: line,
  id: line,
  retryMs: wholeNumber(0),
}));

/**
 * Server-sent events, for a handler to return.
 *
 * @example
 * ```ts
 * import { events } from "@steward/server";
 * const answer = events([{ event: "progress", id: "1", data: { done: 3 } }]);
 * console.log(JSON.stringify(await answer.text())); // => "event: progress\nid: 1\ndata: {\"done\":3}\n\n"
 * ```
 */
export function events(parts: Parts<ServerEvent>): Response {
  assertShape("events", iterable, parts);
  const headers = { "cache-control": "no-cache", "x-accel-buffering": "no" };
  return stream(written(parts), { contentType: "text/event-stream", headers });
}

async function* written(parts: Parts<ServerEvent>): AsyncGenerator<string> {
  for await (const part of parts) yield eventText(part);
}

function eventText(part: ServerEvent): string {
  assertShape("an event", eventShape, part);
  const { data, event, id, retryMs } = part;
  const body = typeof data === "string" ? data : (JSON.stringify(data) ?? "");
  const fields = [
    ...(event === undefined ? [] : [`event: ${event}`]),
    ...(id === undefined ? [] : [`id: ${id}`]),
    ...(retryMs === undefined ? [] : [`retry: ${retryMs}`]),
    ...body.split(/\r\n|[\r\n]/).map((one) => `data: ${one}`),
  ];
  return `${fields.join("\n")}\n\n`;
}
