const RATE = 16_000;

/** How samples are written. */
type Sample = (data: Buffer, at: number) => number;

const INTEGERS: Readonly<Record<number, Sample>> = {
  8: (data, at) => (data.readUInt8(at) - 128) / 128,
  16: (data, at) => data.readInt16LE(at) / 32_768,
  24: (data, at) => data.readIntLE(at, 3) / 8_388_608,
  32: (data, at) => data.readInt32LE(at) / 2_147_483_648,
};
const FLOATS: Readonly<Record<number, Sample>> = { 32: (data, at) => finite(data.readFloatLE(at)) };

const [PCM, FLOAT, EXTENSIBLE] = [1, 3, 0xfffe];
const [LEAST_RATE, MOST_RATE, MOST_CHANNELS] = [8_000, 192_000, 8];
/** Parts of a file before its sound: one of 16 MiB could have two million, which take as long as half a second. */
const MOST_CHUNKS = 1_000;

interface Format {
  readonly rate: number;
  readonly channels: number;
  readonly bytes: number;
  readonly sample: Sample;
}

/** Sound as one channel of 16 kHz, which is read piece by piece: all at once would take long for one turn of the event loop. */
export class Wav {
  readonly #data: Buffer;
  readonly #format: Format;
  readonly #length: number;
  /** Samples at 16 kHz. */
  readonly samples: number;

  private constructor(data: Buffer, format: Format) {
    this.#data = data;
    this.#format = format;
    this.#length = Math.floor(data.length / (format.bytes * format.channels));
    this.samples = Math.floor((this.#length * RATE) / format.rate);
  }

  /** @returns `undefined` for what is no WAV file of PCM samples. */
  static read(content: Buffer): Wav | undefined {
    if (content.length < 12 || content.toString("latin1", 0, 4) !== "RIFF") return undefined;
    if (content.toString("latin1", 8, 12) !== "WAVE") return undefined;
    let format: Format | undefined;
    for (let at = 12, chunks = 0; at + 8 <= content.length && chunks < MOST_CHUNKS; chunks++) {
      const name = content.toString("latin1", at, at + 4);
      const size = content.readUInt32LE(at + 4);
      const body = content.subarray(at + 8, at + 8 + size); // one that is cut off, or was streamed, ends with the file
      if (name === "fmt ") format = formatOf(body);
      if (name === "data") return format && new Wav(body, format);
      at += 8 + size + (size % 2);
    }
    return undefined;
  }

  get durationMs(): number {
    return Math.round((this.samples * 1_000) / RATE);
  }

  /** Reads samples from `at` on; before the beginning and after the end there is silence. */
  read(into: Float32Array, at: number): void {
    for (let i = 0; i < into.length; i++) into[i] = this.#sampleAt(at + i);
  }

  #sampleAt(at: number): number {
    if (at < 0 || at >= this.samples) return 0;
    const ratio = this.#format.rate / RATE;
    const from = at * ratio;
    if (ratio <= 1) {
      const before = Math.floor(from);
      const share = from - before;
      return share === 0 ? this.#mono(before) : this.#mono(before) * (1 - share) + this.#mono(before + 1) * share;
    }
    // The mean of what falls into it: what is above 8 kHz would come back as a false tone.
    const first = Math.floor(from);
    const end = Math.max(first + 1, Math.floor(from + ratio));
    let sum = 0;
    for (let one = first; one < end; one++) sum += this.#mono(one);
    return sum / (end - first);
  }

  #mono(at: number): number {
    const { channels, bytes, sample } = this.#format;
    const start = Math.min(at, this.#length - 1) * channels * bytes;
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) sum += sample(this.#data, start + channel * bytes);
    return sum / channels;
  }
}

function formatOf(body: Buffer): Format | undefined {
  if (body.length < 16) return undefined;
  const said = body.readUInt16LE(0);
  const kind = said === EXTENSIBLE && body.length >= 26 ? body.readUInt16LE(24) : said;
  const [channels, rate, bits] = [body.readUInt16LE(2), body.readUInt32LE(4), body.readUInt16LE(14)];
  const sample = kind === PCM ? INTEGERS[bits] : kind === FLOAT ? FLOATS[bits] : undefined;
  if (sample === undefined || rate < LEAST_RATE || rate > MOST_RATE) return undefined;
  return channels < 1 || channels > MOST_CHANNELS ? undefined : { rate, channels, bytes: bits / 8, sample };
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}
