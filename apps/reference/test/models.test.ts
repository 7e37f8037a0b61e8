import { mkdir, mkdtemp, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { failure } from "@steward/testing";
import { denseOnnx } from "@steward/training/onnx";
import t from "tap";
import { installedBy } from "../src/models/installed.ts";
import { Models } from "../src/models/models.ts";
import { addVersion, versionsIn } from "../src/models/versions.ts";
import { likelihoods, segmentsOf } from "../src/speech/detect.ts";
import { Wav } from "../src/speech/wav.ts";
import { SCORE } from "../src/training/score.ts";
import { joined, silence, tone, voice, wav } from "./sound.ts";

const { signal } = new AbortController();

async function modelsWith(scores: string): Promise<Models & AsyncDisposable> {
  const warnings: unknown[] = [];
  const log = { warn: (fields: unknown) => void warnings.push(fields) };
  const models = new Models({ installed: await installedBy(), scores, log });
  return Object.assign(models, { warnings, [Symbol.asyncDispose]: () => models.stop() });
}

function folder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "clips-models-"));
}

/** Opens a WAV that there is. */
function opened(content: Buffer): Wav {
  const found = Wav.read(content);
  if (found === undefined) throw new Error("it is no WAV");
  return found;
}

t.test("sound is read in every way that PCM is written, and what is none is not", (t) => {
  const samples = joined(tone(1), silence(1));
  const plain = new Float32Array(200);
  opened(wav(samples)).read(plain, 8_000);
  t.ok(plain.some((value) => value > 0.3));
  for (const how of [
    { bits: 8 },
    { bits: 24 },
    { bits: 32 },
    { bits: 32, isFloat: true },
    { channels: 2 },
    { rate: 48_000 },
    { rate: 44_100, channels: 2 },
    { rate: 8_000 },
  ]) {
    const read = opened(wav(samples, how));
    t.equal(read.durationMs, 2_000, JSON.stringify(how));
    const part = new Float32Array(200);
    read.read(part, 8_000);
    // Where rates differ, the tone may be a few samples late.
    const mean = (of: Float32Array): number => of.reduce((sum, value) => sum + Math.abs(value), 0) / of.length;
    t.ok(Math.abs(mean(part) - mean(plain)) < 0.03, JSON.stringify(how));
    read.read(part, 20_000);
    t.ok(mean(part) < 0.01, "silence");
  }
  const around = new Float32Array(4).fill(9);
  opened(wav(samples)).read(around, 2 * 16_000);
  t.same([...around], [0, 0, 0, 0], "after the end there is silence");
  const whole = wav(samples);
  const broken: Buffer[] = [
    Buffer.alloc(0),
    Buffer.from("RIFF"),
    whole.subarray(0, 40),
    Buffer.from("ID3 no wave at all"),
  ];
  const other = Buffer.from(whole);
  other.writeUInt16LE(85, 20); // MP3 in a WAV
  for (const content of [...broken, other]) t.equal(Wav.read(content), undefined);
  const stuffed = (chunks: number): Wav | undefined =>
    Wav.read(Buffer.concat([whole.subarray(0, 12), Buffer.alloc(8 * chunks), whole.subarray(12)]));
  t.ok(stuffed(900), "what is unknown is passed over");
  t.equal(stuffed(1_000_000), undefined, "but not for as long as somebody likes");
  t.equal(opened(whole.subarray(0, 44 + 16_000)).durationMs, 500, "one that is cut off has what is there");
  t.end();
});

t.test("short pauses do not end what is said, and what is too short is a noise", (t) => {
  const likely = (...runs: readonly (readonly [steps: number, value: number])[]): Float32Array =>
    joined(...runs.map(([steps, value]) => new Float32Array(steps).fill(value)));
  t.same(segmentsOf(likely([40, 0], [40, 0.9], [5, 0.1], [40, 0.8], [40, 0]), 5_280), [
    { startMs: 1_216, endMs: 4_064 },
  ]);
  t.same(segmentsOf(likely([40, 0], [5, 0.9], [40, 0]), 2_720), []);
  t.same(segmentsOf(likely([40, 0.4]), 1_280), [], "what is unsure begins nothing");
  t.same(segmentsOf(likely([20, 0.6], [20, 0.4]), 1_280), [{ startMs: 0, endMs: 1_280 }], "and ends nothing");
  t.end();
});

t.test("a voice is found where it is, and a tone is none; in 20 s or in a minute, by one lane or three", async (t) => {
  await using models = await modelsWith("none");
  const found = await models.use("voice", async (model) => {
    const find = async (samples: Float32Array) => {
      const sound = opened(wav(samples));
      return segmentsOf(await likelihoods(model, sound, signal), sound.durationMs);
    };
    const short = joined(tone(2), silence(1), voice(3), silence(2));
    return {
      short: await find(short),
      long: await find(joined(short, silence(10), tone(20), short, silence(20), short)),
    };
  });
  const begins = [3_000, 41_000, 69_000];
  t.equal(found.short.length, 1);
  t.equal(found.long.length, 3);
  for (const [at, { startMs, endMs }] of [...found.short, ...found.long].entries()) {
    const begin = begins[Math.max(0, at - 1)] ?? 0;
    t.ok(
      Math.abs(startMs - begin) < 300 && Math.abs(endMs - begin - 3_000) < 300,
      `${startMs} to ${endMs}, said ${begin}`,
    );
  }
  t.match(await models.check("voice"), { status: "healthy", version: 1, device: "cpu" });
  const stop = AbortSignal.abort(new Error("enough"));
  t.match(await failure(models.use("voice", (model) => likelihoods(model, opened(wav(voice(1))), stop))), {
    code: "CALL_ABORTED",
  });
});

t.test(
  "the newest score model is served, one that fails is not, and none is loaded before it is asked for",
  async (t) => {
    const scores = join(await folder(), "score");
    await using models = await modelsWith(scores);
    t.match(await models.list(), [
      { name: "voice", status: "unloaded", versions: [1], version: null, device: null },
      { name: "score", status: "unloaded", versions: [], version: null },
    ]);
    t.match(await failure(models.check("score")), { code: "MODEL_UNKNOWN" }, "no one has trained it");
    const options = { name: "score", input: "features", output: "score" };
    const content = (bias: number) =>
      denseOnnx(
        SCORE,
        {
          "dense_0.kernel": new Float32Array(96),
          "dense_0.bias": new Float32Array(16),
          "dense_1.kernel": new Float32Array(16),
          "dense_1.bias": Float32Array.of(bias),
        },
        options,
      );
    const score = () =>
      models.use("score", async (model) => {
        const data = new Float32Array(SCORE.inputs);
        return (await model.run({ features: { type: "float32", shape: [1, SCORE.inputs], data } }))["score"]?.data[0];
      });
    t.equal(await addVersion(scores, content(0), []), 1);
    t.equal(await score(), 0.5);
    t.equal(await addVersion(scores, content(100), []), 2);
    t.equal(await score(), 1, "from the next use on");
    const data = new Float32Array(SCORE.inputs);
    const golden = {
      input: { features: { type: "float32", shape: [1, SCORE.inputs], data } as const },
      output: { score: [0.1] },
    };
    t.equal(await addVersion(scores, content(0), [golden]), 3);
    t.equal(await score(), 1, "the third does not give what it should");
    t.match((await models.list())[1], { status: "degraded", versions: [1, 2, 3], version: 2 });
    await Promise.all([4, 5, 6, 7].map((weight) => addVersion(scores, content(weight), [])));
    t.same(await versionsIn(scores), [3, 4, 5, 6, 7], "at once too each is a version, and five are kept");
    t.ok(Number(await score()) > 0.98);
    t.match((await models.list())[1], { status: "healthy", version: 7 });
    t.same(await readdir(scores), ["3", "4", "5", "6", "7"], "nothing half is left");
  },
);

t.test("without the engine all that needs it says so, and what is broken is not taken for missing", async (t) => {
  const missing = () => import(join(tmpdir(), "none.mjs")) as Promise<never>;
  t.equal(await installedBy(missing), undefined);
  const broken = () => Promise.reject(new SyntaxError("no module"));
  t.match(await failure(installedBy(broken)), { message: "no module" }, "what is broken is not missing");
  const models = new Models({ installed: undefined, scores: "none", log: { warn: () => {} } });
  t.equal(models.areInstalled, false);
  for (const ask of [
    async () => models.list(),
    async () => models.check("voice"),
    async () => models.use("score", async () => 1),
  ])
    t.match(await failure(ask()), { code: "MODEL_ENGINE_MISSING" });
  await models.stop();
  const odd = await folder();
  await writeFile(join(odd, "file"), "");
  t.match(await failure(versionsIn(join(odd, "file"))), { code: "ENOTDIR" });
  await mkdir(join(odd, "01"));
  t.same(await versionsIn(odd), [], "other folders are none");
});
