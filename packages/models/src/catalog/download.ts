import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { isStewardError } from "@steward/core";
import { describeError } from "@steward/core/driver";
import { modelError } from "../errors.ts";
import { causeOf, nodeFetch, type Fetch } from "../protocol/fetch.ts";

/** A file that is fetched once, and kept. */
export interface UrlSource {
  /** Where an ONNX file is: a URL of http or https. */
  readonly url: string;
  /** Hex of the SHA-256 that it must have. */
  readonly sha256: string;
  /** Folder that keeps it, under its checksum: where it is there, nothing is fetched. */
  readonly cache: string;
  /** How it is fetched: the fetch of an HTTP session, with its limits and guards. Default: that of Node. */
  readonly fetch?: Fetch | undefined;
  /** Most bytes of the file. Default 2 GiB. */
  readonly maxBytes?: number | undefined;
}

const GIB = 1024 ** 3;
const ABANDONED_MS = 60 * 60 * 1_000;

/**
 * Path of the file, which is fetched where it is not kept, or is damaged. It has its name only once all of it is there and right.
 *
 * @throws {MODEL_CHECKSUM}, {MODEL_UNKNOWN}, {MODEL_INVALID_FILE}, {MODEL_REMOTE_FAILED}
 */
export async function download(resource: string, source: UrlSource, signal?: AbortSignal): Promise<string> {
  const sha256 = source.sha256.toLowerCase();
  const path = join(source.cache, `${sha256}.onnx`);
  if ((await sumOf(path)) === sha256) return path;
  const part = `${path}.${randomUUID()}.part`;
  try {
    await mkdir(source.cache, { recursive: true });
    await sweep(source.cache, `${sha256}.onnx.`);
    const found = await fetched(resource, source, part, signal);
    if (found !== sha256) throw wrongSum(resource, source, found);
    await rename(part, path);
    return path;
  } catch (cause) {
    await rm(part, { force: true }).catch(() => {}); // the first error says why
    if (isStewardError(cause) || signal?.aborted === true) throw cause;
    const message = `${nameOf(source)} cannot be fetched into ${source.cache}: ${describeError(causeOf(cause))}`;
    throw modelError("MODEL_REMOTE_FAILED", resource, message, { retryable: true, cause });
  }
}

/** Deletes what a process that was killed has left of this file: a part that was not written to for an hour. */
async function sweep(cache: string, start: string): Promise<void> {
  const parts = (await readdir(cache)).filter((name) => name.startsWith(start) && name.endsWith(".part"));
  for (const path of parts.map((name) => join(cache, name))) {
    const found = await stat(path).catch(() => undefined); // another process sweeps too
    if (found !== undefined && Date.now() - found.mtimeMs > ABANDONED_MS) await rm(path, { force: true });
  }
}

/** `undefined` where there is no such file. */
async function sumOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true) return undefined;
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** Writes what comes to a file, and gives its checksum. */
async function fetched(resource: string, source: UrlSource, path: string, given?: AbortSignal): Promise<string> {
  const { url, fetch: send = nodeFetch } = source;
  const signal = given ?? new AbortController().signal;
  const answer = await send(url, { method: "GET", headers: { accept: "*/*" }, signal });
  if (answer.status !== 200 || answer.body === null) {
    await answer.body?.cancel();
    throw refused(resource, source, answer.status);
  }
  const hash = createHash("sha256");
  const file = await open(path, "wx");
  try {
    for await (const part of bounded(resource, source, answer.body, signal)) {
      hash.update(part);
      await file.appendFile(part);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}

async function* bounded(
  resource: string,
  source: UrlSource,
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { maxBytes = 2 * GIB } = source;
  let size = 0;
  for await (const part of body) {
    signal.throwIfAborted();
    size += part.byteLength;
    if (size > maxBytes)
      throw modelError("MODEL_INVALID_FILE", resource, `${nameOf(source)} has more than ${maxBytes} bytes`);
    yield part;
  }
}

function wrongSum(resource: string, source: UrlSource, found: string): Error {
  const message = `${nameOf(source)} has the sha256 ${found}, and not ${source.sha256}: it is another one, or cut short`;
  return modelError("MODEL_CHECKSUM", resource, message);
}

function refused(resource: string, source: UrlSource, status: number): Error {
  const message = `${nameOf(source)}: the server answered ${status}`;
  if (status === 404 || status === 410) return modelError("MODEL_UNKNOWN", resource, message);
  return modelError("MODEL_REMOTE_FAILED", resource, message, { retryable: status === 429 || status >= 500 });
}

/** Without its query, which is often a credential. */
function nameOf({ url }: UrlSource): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}
