import { promisify } from "node:util";
import { gunzip, gunzipSync, gzip, gzipSync } from "node:zlib";
import { describeError, type StandardSchema } from "@steward/core/driver";
import { cacheError, refusedUndefined } from "../errors.ts";
import { ABSENT, type Known } from "../local/entry.ts";

/** Turns values into bytes and back. */
export interface Codec {
  /** A value as bytes or text. */
  encode(value: unknown): Uint8Array | string;
  /** The value that bytes stand for. They come from outside: it has to throw where they are not what `encode` writes. */
  decode(bytes: Uint8Array): unknown;
}

/** How values are written to Redis. */
export interface CodecSettings {
  readonly codec: (() => Codec) | undefined;
  readonly schema: (() => StandardSchema) | undefined;
  readonly compressAboveBytes: number;
  readonly maxValueBytes: number;
}

/** The first byte says what follows, so that what an older setting wrote can always be read. */
const NONE = 0;
const PLAIN = 1;
const GZIP = 2;
/** From here on the work is done beside the event loop, in bytes. */
const IN_BACKGROUND = 65_536;

const gzipLater = promisify(gzip);
const gunzipLater = promisify(gunzip);

const PROTOTYPE = '"__proto__"';

/** Values as JSON. A key that would be taken for a prototype is left out. */
const JSON_CODEC: Codec = {
  encode(value) {
    const text = JSON.stringify(value) as string | undefined; // of a function there is none
    if (text === undefined) throw new TypeError(`JSON has no ${typeof value}`);
    return text;
  },
  decode(bytes) {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
    if (!text.includes(PROTOTYPE)) return JSON.parse(text);
    return JSON.parse(text, (key: string, value: unknown) => (key === "__proto__" ? undefined : value));
  },
};

/** Writes what is known under a key as bytes, and reads it. */
export class ValueCodec {
  readonly #resource: string;
  readonly #codec: Codec;
  readonly #settings: CodecSettings;

  constructor(resource: string, settings: CodecSettings) {
    this.#resource = resource;
    this.#settings = settings;
    this.#codec = settings.codec?.() ?? JSON_CODEC;
  }

  /** @throws {CACHE_CODEC_FAILED} when it cannot be written, {CACHE_VALUE_TOO_LARGE} when it has too many bytes. */
  async encode(known: Known): Promise<Buffer> {
    if (known.kind !== "value") return Buffer.of(NONE);
    if (known.value === undefined) throw refusedUndefined(this.#resource);
    const { compressAboveBytes, maxValueBytes } = this.#settings;
    const plain = this.#plain(known.value);
    if (plain.length > maxValueBytes) throw this.#tooLarge(plain.length);
    if (plain.length <= compressAboveBytes) return Buffer.concat([Buffer.of(PLAIN), plain]);
    const packed = plain.length > IN_BACKGROUND ? await gzipLater(plain) : gzipSync(plain);
    return packed.length < plain.length
      ? Buffer.concat([Buffer.of(GZIP), packed])
      : Buffer.concat([Buffer.of(PLAIN), plain]);
  }

  /** A value as bytes, and as all who read them get it. @throws {CACHE_CODEC_FAILED} also when it cannot be read back. */
  async write(known: Known): Promise<{ readonly known: Known; readonly bytes: Buffer }> {
    const resource = this.#resource;
    const bytes = await this.encode(known);
    try {
      return { known: await this.decode(bytes), bytes };
    } catch (cause) {
      const message = `${resource}: a value cannot be read back: ${describeError(cause)}; change the value, the schema or the codec`;
      throw cacheError("CACHE_CODEC_FAILED", message, { resource, cause });
    }
  }

  #plain(value: unknown): Buffer {
    const resource = this.#resource;
    try {
      const encoded = this.#codec.encode(value);
      return typeof encoded === "string" ? Buffer.from(encoded) : Buffer.from(encoded);
    } catch (cause) {
      const message = `${resource}: a value cannot be turned into bytes: ${describeError(cause)}; give a codec, or keep plain data`;
      throw cacheError("CACHE_CODEC_FAILED", message, { resource, cause });
    }
  }

  #tooLarge(bytes: number): Error {
    const message = `${this.#resource}: a value of ${bytes} bytes is above maxValueBytes (${this.#settings.maxValueBytes})`;
    return cacheError("CACHE_VALUE_TOO_LARGE", message, { resource: this.#resource });
  }

  /** Reads bytes. Rejects when they are not what this cache writes, or when the schema refuses the value. */
  async decode(bytes: Uint8Array): Promise<Known> {
    const kind = bytes[0];
    if (kind === NONE) return ABSENT;
    const rest = bytes.subarray(1);
    if (kind === PLAIN) return this.#read(rest);
    if (kind !== GZIP) throw new TypeError(`a value begins with byte ${kind}`);
    const bound = { maxOutputLength: this.#settings.maxValueBytes };
    return this.#read(rest.length > IN_BACKGROUND / 8 ? await gunzipLater(rest, bound) : gunzipSync(rest, bound));
  }

  async #read(bytes: Uint8Array): Promise<Known> {
    const value = this.#codec.decode(bytes);
    const schema = this.#settings.schema?.();
    if (schema === undefined) return { kind: "value", value };
    const result = await schema["~standard"].validate(value);
    if (result.issues !== undefined) throw new TypeError(result.issues[0]?.message ?? "the schema refuses it");
    return { kind: "value", value: result.value };
  }
}
