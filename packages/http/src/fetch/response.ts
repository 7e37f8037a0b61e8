import { Readable, Transform, pipeline } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, type Gunzip } from "node:zlib";
import { StewardError } from "@steward/core";
import { Headers, Response, type Dispatcher } from "undici";

type Body = Dispatcher.ResponseData["body"];
type Answer = Dispatcher.ResponseData;

/** How large a body may become when it is decoded: a small one can hold a thousand times its bytes. */
export interface Bound {
  readonly maxBytes: number;
  readonly resource: string;
}

/** Where an answer came from, and what bounds it. */
export interface Provenance {
  readonly url: string;
  readonly redirected: boolean;
  readonly bound: Bound | undefined;
}

/** Statuses that never have a body. */
const BODYLESS = new Set([101, 103, 204, 205, 304]);

/**
 * A response of `fetch`, with everything that one has. It reads straight from the connection; only what is rarely
 * asked for (a clone, a form, a decoded or a web stream) makes a whole `Response` of it.
 */
export class FetchedResponse {
  /** The status, such as 200. */
  readonly status: number;
  /** What the server calls the status. */
  readonly statusText: string;
  /** Where the response came from, after redirects. */
  readonly url: string;
  /** True when there were redirects. */
  readonly redirected: boolean;
  readonly #raw: Answer["headers"];
  readonly #body: Body;
  readonly #bodyless: boolean;
  readonly #bound: Bound | undefined;
  #headers: Headers | undefined;
  #whole: Response | undefined;
  #taken = false;

  constructor(answer: Answer, method: string, { url, redirected, bound }: Provenance) {
    this.status = answer.statusCode;
    this.statusText = answer.statusText;
    this.url = url;
    this.redirected = redirected;
    this.#bound = bound;
    this.#raw = answer.headers;
    this.#body = answer.body;
    this.#bodyless = method === "HEAD" || BODYLESS.has(answer.statusCode);
    if (this.#bodyless) void answer.body.dump();
  }

  /** True for a status of 200 to 299. */
  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  /** Always `basic`: there is no other kind outside a browser. */
  get type(): "basic" {
    return "basic";
  }

  /** The headers, made when first asked for. */
  get headers(): Headers {
    if (this.#headers !== undefined) return this.#headers;
    const headers = (this.#headers = new Headers());
    for (const [name, value] of Object.entries(this.#raw))
      for (const one of Array.isArray(value) ? value : [value]) headers.append(name, one ?? "");
    return headers;
  }

  /** The body as a web stream; `null` where there is none. */
  get body(): Response["body"] {
    return this.#bodyless ? null : this.#asWhole().body;
  }

  /** True once the body was read. */
  get bodyUsed(): boolean {
    return this.#whole?.bodyUsed ?? this.#taken;
  }

  /** The body as text. */
  async text(): Promise<string> {
    return this.#take().text();
  }

  /** The body as JSON. */
  async json(): Promise<unknown> {
    return this.#take().json();
  }

  /** The body as a buffer. */
  async arrayBuffer(): Promise<ArrayBuffer> {
    return this.#take().arrayBuffer();
  }

  /** The body as bytes. */
  async bytes(): Promise<Uint8Array> {
    return this.#take().bytes();
  }

  /** The body as a blob, of the type that the response names. */
  async blob(): Promise<Awaited<ReturnType<Response["blob"]>>> {
    return this.#asWhole().blob();
  }

  /** The body as a form. */
  async formData(): Promise<Awaited<ReturnType<Response["formData"]>>> {
    return this.#asWhole().formData();
  }

  /** A second response with the same body; to be asked for before the body is read. */
  clone(): Response {
    const { url, redirected, status } = this;
    return Object.defineProperties(this.#asWhole().clone(), {
      url: { value: url },
      redirected: { value: redirected },
      status: { value: status },
    });
  }

  /** The body as it was sent, if only we have it and that is how it is wanted; else that of a whole response. */
  #take(): Pick<Body, "text" | "json" | "arrayBuffer" | "bytes"> {
    if (this.#whole !== undefined || this.#bodyless || this.#encoding !== undefined) return this.#asWhole();
    if (this.#taken) throw new TypeError("Body is unusable: Body has already been read");
    this.#taken = true;
    return this.#body;
  }

  /** Nothing is no encoding of nothing, whatever the headers say. */
  get #encoding(): string | string[] | undefined {
    return this.#raw["content-length"] === "0" ? undefined : this.#raw["content-encoding"];
  }

  #asWhole(): Response {
    if (this.#whole !== undefined) return this.#whole;
    if (this.#taken) throw new TypeError("Body is unusable: Body has already been read");
    const { status, statusText, headers } = this;
    const body = this.#bodyless ? null : Readable.toWeb(decoded(this.#body, this.#encoding, this.#bound));
    return (this.#whole = new Response(body as ConstructorParameters<typeof Response>[0], {
      status: Math.min(status, 599), // it takes no other, and servers send 999
      statusText,
      headers,
    })); // one type of web stream in two declarations
  }
}

const DECODERS: Readonly<Record<string, () => Gunzip | ReturnType<typeof createBrotliDecompress>>> = {
  gzip: () => createGunzip(),
  "x-gzip": () => createGunzip(),
  deflate: () => createInflate(),
  br: () => createBrotliDecompress(),
};

/** Encodings stand in the order in which they were applied. One we do not know leaves the body as it is, as in browsers. */
function decoded(body: Readable, encoding: string | string[] | undefined, bound: Bound | undefined): Readable {
  const names = String(encoding ?? "")
    .toLowerCase()
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "" && name !== "identity");
  const decoders = names.reverse().map((name) => DECODERS[name]);
  if (decoders.length === 0 || decoders.length > 5 || decoders.includes(undefined)) return body;
  const counted = bound === undefined ? [] : [() => counting(bound)];
  const streams = decoders.flatMap((make) => (make === undefined ? [] : [make(), ...counted.map((count) => count())]));
  pipeline([body, ...streams], () => {}); // the reader of the last decoder gets the error
  return streams.at(-1) ?? body;
}

/** Passes on what one decoder gives, up to a bound. */
function counting({ maxBytes, resource }: Bound): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes <= maxBytes) return done(null, chunk);
      const message = `${resource}: a body has at least ${bytes} bytes once decoded, ${maxBytes} are allowed`;
      done(new StewardError("HTTP_RESPONSE_TOO_LARGE", message, { resource }));
    },
  });
}
