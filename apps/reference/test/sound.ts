const RATE = 16_000;

/** What makes a vowel: the resonances of a mouth, in Hz. */
const VOWELS = [
  [730, 1_090, 2_440],
  [270, 2_290, 3_010],
  [300, 870, 2_240],
  [530, 1_840, 2_480],
  [570, 840, 2_410],
];
const WIDTHS = [80, 100, 140];
const SYLLABLE_S = 0.22;

/** Vowels as a mouth makes them: pulses of a voice whose pitch moves, through resonances that change with each syllable. */
export function voice(seconds: number): Float32Array {
  const memory = WIDTHS.map(() => [0, 0] as [number, number]);
  let phase = 0;
  const out = Float32Array.from({ length: seconds * RATE }, (_, i) => {
    const time = i / RATE;
    phase += (115 + 25 * Math.sin(4.4 * time) + 10 * Math.sin(31 * time)) / RATE;
    const pulse = phase >= 1 ? 1 : 0;
    if (pulse === 1) phase -= 1;
    const loud = Math.sin((Math.PI * (time % SYLLABLE_S)) / SYLLABLE_S) ** 0.7;
    const vowel = VOWELS[(Math.floor(time / SYLLABLE_S) * 7) % VOWELS.length] ?? [];
    let sum = 0;
    for (const [at, width] of WIDTHS.entries()) {
      const decay = Math.exp((-Math.PI * width) / RATE);
      const [last, before] = memory[at] ?? [0, 0];
      const turn = 2 * decay * Math.cos((2 * Math.PI * (vowel[at] ?? 0)) / RATE);
      const now = pulse * (1 - decay) + turn * last - decay * decay * before;
      memory[at] = [now, last];
      sum += now / (at + 1);
    }
    return loud * sum;
  });
  const peak = out.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return out.map((value) => (0.5 * value) / peak);
}

/** A tone, which no one speaks. */
export function tone(seconds: number): Float32Array {
  return Float32Array.from({ length: seconds * RATE }, (_, i) => 0.4 * Math.sin((2 * Math.PI * 440 * i) / RATE));
}

/** One after the other. */
export function joined(...parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function silence(seconds: number): Float32Array {
  return new Float32Array(seconds * RATE);
}

/** A WAV file of 16 kHz samples, written at another rate and in other ways. */
export function wav(
  samples: Float32Array,
  {
    rate = RATE,
    channels = 1,
    bits = 16,
    isFloat = false,
  }: { rate?: number; channels?: number; bits?: number; isFloat?: boolean } = {},
): Buffer {
  const frames = Math.floor((samples.length * rate) / RATE);
  const bytes = bits / 8;
  const data = Buffer.alloc(frames * channels * bytes);
  for (let at = 0; at < frames * channels; at++) {
    const value = samples[Math.floor((Math.floor(at / channels) * RATE) / rate)] ?? 0;
    if (isFloat) data.writeFloatLE(value, at * bytes);
    else if (bits === 8) data.writeUInt8(Math.round(value * 127) + 128, at);
    else data.writeIntLE(Math.round(value * (2 ** (bits - 1) - 1)), at * bytes, bytes);
  }
  const head = Buffer.alloc(44);
  head.write("RIFF", 0, "latin1");
  head.writeUInt32LE(36 + data.length, 4);
  head.write("WAVEfmt ", 8, "latin1");
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(isFloat ? 3 : 1, 20);
  head.writeUInt16LE(channels, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate * channels * bytes, 28);
  head.writeUInt16LE(channels * bytes, 32);
  head.writeUInt16LE(bits, 34);
  head.write("data", 36, "latin1");
  head.writeUInt32LE(data.length, 40);
  return Buffer.concat([head, data]);
}
