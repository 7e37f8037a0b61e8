import { finished, Readable } from "node:stream";

/** What a handler has given as a body that is sent bit by bit. */
export interface TrackedStream {
  /** What is sent: the stream itself, or one around it that knows its end. */
  readonly body: unknown;
  /** Resolves once the stream's own code has ended, its cleanup included; it never rejects. */
  readonly ended: Promise<void>;
}

/** Learns what a stream failed with. */
interface Host {
  streamFailed(error: unknown): void;
}

/** Follows a body to its real end; `undefined` for one that is sent at once. */
export function trackStream(result: unknown, host: Host): TrackedStream | undefined {
  if (typeof result !== "object" || result === null) return undefined;
  if (isPlain(result) && !(Symbol.asyncIterator in result)) return undefined; // most answers; the classes below load late
  if (result instanceof Response) return result.body === null ? undefined : ofResponse(result, result.body, host);
  if (isReadable(result)) return ofReadable(result, host);
  if (result instanceof ReadableStream) return result.locked ? undefined : ofWeb(result, host);
  if (Symbol.asyncIterator in result) return ofReadable(Readable.from(result as AsyncIterable<unknown>), host); // it has just been looked at
  return undefined;
}

function isPlain(result: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(result);
  return prototype === Object.prototype || prototype === Array.prototype;
}

function isReadable(result: object): result is NodeJS.ReadableStream {
  return "pipe" in result && typeof result.pipe === "function" && "on" in result;
}

function ofReadable(body: NodeJS.ReadableStream, host: Host): TrackedStream {
  body.on("error", (error) => host.streamFailed(error));
  return { body, ended: endOf(body) };
}

/**
 * A generator under a destroyed stream still runs to its next `yield`: the stream's `close` comes after its `finally`. So
 * it does under a stream that `pipeline` has put before this one, and destroys with it; such a one says so as it goes.
 */
async function endOf(stream: NodeJS.ReadableStream): Promise<void> {
  const sources: [NodeJS.ReadableStream & { readonly destroyed?: boolean }, Promise<void>][] = [];
  stream.on("unpipe", (source: NodeJS.ReadableStream) => sources.push([source, endOf(source)]));
  await new Promise<void>((resolve) => {
    finished(stream, { writable: false }, () => resolve());
  });
  for (const [source, ended] of sources) if (source.destroyed === true) await ended; // others are not this stream's own
}

function ofResponse(response: Response, body: ReadableStream, host: Host): TrackedStream {
  const { body: tracked, ended } = ofWeb(body, host);
  return { body: new Response(tracked as ReadableStream, response), ended }; // `ofWeb` makes streams
}

/** Web streams announce their end to their reader alone, so there is one between. */
function ofWeb(source: ReadableStream, host: Host): TrackedStream {
  const reader = source.getReader() as ReadableStreamDefaultReader<unknown>; // what it carries is sent as it is
  let resolve = (): void => {};
  const ended = new Promise<void>((fulfil) => {
    resolve = fulfil;
  });
  let isCancelled = false; // reads settle at once then, the source's own code does not
  const body = new ReadableStream<unknown>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (isCancelled) return;
          if (!done) return controller.enqueue(bytesOrText(value));
          controller.close();
        } catch (error) {
          host.streamFailed(error);
          controller.error(error);
          await reader.cancel(error).catch(() => {}); // where a part was wrong, its source is still open
        }
        resolve();
      },
      cancel(reason) {
        isCancelled = true;
        return reader.cancel(reason).finally(resolve);
      },
    },
    { highWaterMark: 0 },
  );
  return { body, ended };
}

/** A part of a stream. Frameworks would throw where no one can catch it. @throws TypeError for what cannot be sent. */
function bytesOrText(part: unknown): unknown {
  if (typeof part === "string" || part instanceof Uint8Array) return part;
  throw new TypeError(`a stream gives text or bytes, not ${typeof part}`);
}

/** Ends a stream that is not sent, because the client has another answer. */
export function discardStream(result: unknown): void {
  if (typeof result !== "object" || result === null) return;
  if (result instanceof Response) return discardStream(result.body);
  if (result instanceof ReadableStream) return void result.cancel().catch(() => {}); // it may be locked, or fail: no one reads it
  if (isReadable(result) && "destroy" in result && typeof result.destroy === "function") result.destroy();
}
