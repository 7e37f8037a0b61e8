import { randomBytes } from "node:crypto";
import { PassThrough, pipeline, Readable } from "node:stream";
import t from "tap";
import { stream } from "../src/index.ts";
import { discardStream, trackStream } from "../src/life/stream-end.ts";

/** A generator that notes how it ended, and lets the test see what it waits for. */
function source(log: string[], fails = false) {
  let go = (): void => {};
  async function* parts(): AsyncGenerator<Uint8Array> {
    try {
      yield Buffer.from("one");
      await new Promise<void>((resolve) => {
        go = resolve;
      });
      if (fails) throw new Error("mid");
      yield Buffer.from("two");
    } finally {
      await new Promise((resolve) => setImmediate(resolve));
      log.push("source ended");
    }
  }
  return { parts: parts(), go: () => go() };
}

const KINDS: Readonly<Record<string, (parts: AsyncIterable<Uint8Array>) => unknown>> = {
  readable: (parts) => Readable.from(parts),
  web: (parts) => ReadableStream.from(parts),
  response: (parts) => new Response(ReadableStream.from(parts), { status: 201 }),
  iterable: (parts) => parts,
  through: (parts) => stream(parts, { through: new TransformStream() }),
  pipeline: (parts) => pipeline(Readable.from(parts), new PassThrough(), new PassThrough(), () => {}),
};

/** The body of what is tracked, read part by part. */
function partsOf(body: unknown): AsyncIterator<unknown> {
  const stream = body instanceof Response ? body.body : body;
  return (stream as AsyncIterable<unknown>)[Symbol.asyncIterator](); // both kinds of stream are iterable
}

t.test("a stream's end is known only when its own cleanup is over, whether it is read or given up", async (t) => {
  for (const [name, wrap] of Object.entries(KINDS)) {
    for (const end of ["read", "given up", "failed"] as const) {
      const log: string[] = [];
      const { parts, go } = source(log, end === "failed");
      const tracked = trackStream(wrap(parts), { streamFailed: (error) => log.push((error as Error).message) });
      t.ok(tracked, name);
      const ended = tracked?.ended.then(() => log.push("known"));
      const reader = partsOf(tracked?.body);
      await reader.next();
      const next = end === "given up" ? reader.return?.() : reader.next();
      await new Promise((resolve) => setImmediate(resolve));
      go();
      await next?.catch(() => {});
      if (end === "read") await reader.next();
      await ended;
      t.strictSame(
        log.filter((line) => line.endsWith("ended") || line === "known"),
        ["source ended", "known"],
        `${name}, ${end}`,
      );
      t.equal(log.includes("mid"), end === "failed", name);
    }
  }
});

t.test("under a `pipeThrough` of the handler's own the source is cancelled, but its end cannot be known", async (t) => {
  const log: string[] = [];
  const { parts, go } = source(log);
  const piped = ReadableStream.from(parts).pipeThrough(new TransformStream());
  const tracked = trackStream(piped, { streamFailed: () => {} });
  const reader = partsOf(tracked?.body);
  await reader.next();
  await reader.return?.();
  await tracked?.ended;
  t.strictSame(log, [], "that of the transform is");
  go();
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  t.strictSame(log, ["source ended"]);
});

t.test("what is sent at once is no stream", (t) => {
  for (const value of [undefined, null, 1, "text", {}, [1], Buffer.from("x"), new Response(null)])
    t.equal(trackStream(value, { streamFailed: () => {} }), undefined);
  const made = trackStream(new Response("a", { status: 201 }), { streamFailed: () => {} });
  t.equal(made?.body instanceof Response && made.body.status, 201);
  t.end();
});

t.test("a stream that nobody sends is ended", async (t) => {
  const readable = Readable.from(["a"]);
  discardStream(readable);
  t.ok(readable.destroyed);
  let cancelled = 0;
  const web = (): ReadableStream => new ReadableStream({ cancel: () => void cancelled++ });
  discardStream(web());
  discardStream(new Response(web()));
  discardStream("text");
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(cancelled, 2);
});

t.test("what goes through a transform is asked for as the client takes it", async (t) => {
  let made = 0;
  async function* parts(): AsyncGenerator<Uint8Array> {
    for (; ; made++) yield randomBytes(65_536); // cannot be compressed
  }
  const answer = stream(parts(), { through: new CompressionStream("gzip") });
  const reader = partsOf(trackStream(answer, { streamFailed: () => {} })?.body);
  for (let i = 0; i < 8; i++) await reader.next();
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
  t.ok(made < 10, `${made} parts of 64 KiB were made for 8 of at most 16 KiB that were taken`);
  await reader.return?.();
});
