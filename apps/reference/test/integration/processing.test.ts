import { redisForTests, startPostgres } from "@steward/launchers";
import t from "tap";
import { eventually, LocalClips } from "./clips.ts";
import {
  addVideo,
  DURATION_MS,
  freePort,
  isInOrder,
  process as start,
  resultOf,
  stateOf,
  STEPS,
  type ToldJob,
  Watcher,
  wholeResult,
} from "./watching.ts";
import { tracedVisit } from "./visit.ts";

const database = await startPostgres();
const redis = await redisForTests();
t.teardown(() => Promise.all([database[Symbol.asyncDispose](), redis[Symbol.asyncDispose]()]));

const quick = { DATABASE_URL: database.url, RENDERER_STEP_MS: "5" };
/** So slow that a test can meet it at work, however busy the machine is. */
const slow = { DATABASE_URL: database.url, RENDERER_STEP_MS: "150" };

// One for three, which ends with them: it would take the jobs of the others.
t.test("at an instance alone", async (t) => {
  await using clips = await LocalClips.start(quick);
  const { url } = clips;

  await t.test("a browser sees the processing of a video from its beginning to its end", async (t) => {
    const id = await addVideo(url, DURATION_MS);
    await using watcher = await Watcher.join(url, id);
    const asked = await fetch(`${url}/api/v1/videos/${id}/process`, { method: "POST" });
    t.equal(asked.status, 202);
    t.equal(asked.headers.get("location"), `/api/v1/videos/${id}/process`);
    const job = (await asked.json()) as ToldJob;
    t.match(job, { videoId: id, status: "queued", progress: 0, attempt: 0, error: null, stage: null });
    t.notOk("holder" in job || "checkpoint" in job, "what is inside stays inside");
    const told = await watcher.toTheEnd();
    t.strictSame(
      [...new Set(told.map(({ progress }) => progress))],
      Array.from({ length: STEPS + 1 }, (_, i) => (i * 100) / STEPS),
    );
    t.ok(told.every((one) => one.id === job.id));
    t.strictSame([...new Set(told.map(({ status }) => status))], ["processing", "done"]);
    t.strictSame(await stateOf(url, id), told.at(-1));
    t.strictSame(await resultOf(clips, job), wholeResult());
    await using late = await Watcher.join(url, id);
    t.strictSame(late.told.at(-1), told.at(-1), "who comes late is told how it stands");
  });

  await t.test("a video may be added together with its job", async (t) => {
    const body = JSON.stringify({
      title: "x",
      sourceUrl: "https://example.com/x.mp4",
      durationMs: 1_000,
      process: true,
    });
    const headers = { "content-type": "application/json" };
    const added = await fetch(`${url}/api/v1/videos`, { method: "POST", headers, body });
    const { id } = (await added.json()) as { readonly id: string }; // the API says so
    await using watcher = await Watcher.join(url, id);
    t.match((await watcher.toTheEnd()).at(-1), { status: "done", progress: 100 });
  });

  await t.test("what there is not is not processed, and not listened to", async (t) => {
    const nobody = "00000000-0000-4000-8000-000000000000";
    for (const method of ["POST", "GET"]) {
      const answer = await fetch(`${url}/api/v1/videos/${nobody}/process`, { method });
      t.equal(answer.status, 404);
      t.match(answer.headers.get("content-type"), /^application\/problem\+json/);
    }
    const idle = await addVideo(url, DURATION_MS);
    t.equal((await fetch(`${url}/api/v1/videos/${idle}/process`)).status, 404, "nobody has asked for it");
    await using watcher = await Watcher.connect(url);
    for (const room of [`video:${nobody}`, "video:", "videos", `video:${idle} `]) {
      const { error } = await watcher.ask({ join: room });
      t.match(error, { code: "WEBSOCKET_REFUSED" }, room);
    }
    t.match(await watcher.ask({ join: `video:${idle}` }), { ok: {} });
    t.match(await watcher.ask({ call: "anything" }), { error: { code: "WEBSOCKET_REFUSED" } });
    await t.rejects(Watcher.connect(`${url}/not`), /404/);
  });
});

t.test("while a video is processed, asking again changes nothing", async (t) => {
  await using clips = await LocalClips.start(slow);
  const { url } = clips;
  const id = await addVideo(url, DURATION_MS);
  await using watcher = await Watcher.join(url, id);
  const job = await start(url, id);
  await watcher.hears(({ progress }) => progress > 0);
  const again = await start(url, id.toUpperCase());
  t.match(again, { id: job.id, videoId: id, status: "processing" });
  t.equal((await stateOf(url, id)).id, job.id);
  await watcher.toTheEnd();
  t.not((await start(url, id)).id, job.id, "once it has ended, it begins anew");
});

for (const shared of ["Redis", "Postgres"] as const) {
  const skip = shared === "Redis" ? redis.skip : false;
  t.test(`over ${shared}, a browser at one instance sees what another one processes`, { skip }, async (t) => {
    const env = { ...quick, ...(shared === "Redis" ? { REDIS_URL: redis.url ?? "" } : {}) };
    // Without REDIS_URL each starts a Redis of its own, which carries nothing from one to the other.
    await using a = await LocalClips.start({ ...env, RENDERER_URL: `http://127.0.0.1:${await freePort()}` });
    await using b = await LocalClips.start(env);
    const id = await addVideo(b.url, DURATION_MS);
    await using watcher = await Watcher.join(a.url, id);
    const job = await start(b.url, id);
    const told = await watcher.toTheEnd();
    t.ok(told.every((one) => one.id === job.id));
    t.equal(new Set(told.map(({ progress }) => progress)).size, STEPS + 1);
    t.ok(isInOrder(told));
    t.match(await stateOf(a.url, id), { status: "done", progress: 100 });
    if (shared === "Postgres") return;
    await t.test(
      "and one trace holds the request over HTTP, Postgres, Redis and gRPC, and the push over the WebSocket",
      (t) => tracedVisit(t, b, a),
    );
  });
}

t.test("a drain tells browsers to go elsewhere, and does not wait for them", async (t) => {
  const clips = await LocalClips.start(quick);
  await using _clips = clips;
  const id = await addVideo(clips.url, DURATION_MS);
  await using watcher = await Watcher.join(clips.url, id);
  await clips.running.stop();
  t.equal(await eventually(async () => watcher.closedWith === 1001), true);
});
