import t from "tap";
import { FakeClock } from "@steward/testing";
import {
  beginningOf,
  isCheckpointOf,
  render,
  stepAfter,
  stepsOf,
  type Checkpoint,
  type Rendered,
} from "../src/renderer/render.ts";

const source = { url: "https://example.com/a.mp4", durationMs: 20_000 };
const STEP_MS = 100;

/** Everything that rendering tells, from a checkpoint on. */
async function all(from: Checkpoint, { signal = new AbortController().signal, clock = new FakeClock() } = {}) {
  const told: Rendered[] = [];
  const ended = (async () => {
    for await (const step of render(source, from, { stepMs: STEP_MS, clock, signal })) told.push(step);
  })();
  ended.catch(() => {});
  await clock.advance(STEP_MS * 100);
  return { told, ended, clock };
}

t.test("a video is rendered in a step for each second, within bounds", async (t) => {
  const steps = [0, 1, 10_001, 19_999, 60_000, 3_600_000].map((durationMs) => stepsOf({ url: "", durationMs }));
  t.strictSame(steps, [50, 10, 11, 20, 60, 100]);
});

t.test("rendering tells where it begins, and every step, up to all of it", async (t) => {
  const { told, ended } = await all(beginningOf(source));
  await ended;
  t.strictSame(
    told.map(({ percent }) => percent),
    Array.from({ length: 21 }, (_, i) => i * 5),
  );
  t.strictSame([...new Set(told.map(({ stage }) => stage))], ["DECODING", "ENCODING", "PACKAGING"]);
});

t.test("from any checkpoint on it comes to the same result", async (t) => {
  const { told: whole } = await all(beginningOf(source));
  const result = whole.at(-1)?.checkpoint;
  for (const at of [0, 1, 13, 20]) {
    const checkpoint = whole[at]?.checkpoint;
    if (checkpoint === undefined) throw new Error(`there is no step ${at}`);
    const { told: rest } = await all(checkpoint);
    t.equal(rest.length, 21 - at);
    t.strictSame(rest.at(-1)?.checkpoint, result);
  }
  let place = beginningOf(source);
  for (let i = 0; i < 20; i++) place = stepAfter(place);
  t.strictSame(place, result, "it shows that every step was done once");
  t.not(
    beginningOf({ ...source, url: "https://example.com/b.mp4" }).state.toString("hex"),
    beginningOf(source).state.toString("hex"),
  );
});

t.test("a signal ends it in the middle of a step", async (t) => {
  const clock = new FakeClock();
  const abort = new AbortController();
  clock.setTimeout(() => abort.abort(new Error("enough")), STEP_MS * 2.5);
  const { told, ended } = await all(beginningOf(source), { clock, signal: abort.signal });
  await t.rejects(ended, { message: "enough" });
  t.equal(told.length, 3);
});

t.test("a checkpoint has to be one of the video", async (t) => {
  t.ok(isCheckpointOf(source, { position: 20, state: Buffer.alloc(32) }));
  t.notOk(isCheckpointOf(source, { position: 21, state: Buffer.alloc(32) }));
  t.notOk(isCheckpointOf(source, { position: 2, state: Buffer.alloc(31) }));
});
