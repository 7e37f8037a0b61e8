import t from "tap";
import { begin, DatabasePoolManager } from "@steward/database";
import { GrpcChannelManager, GrpcStatusError } from "@steward/grpc";
import { testGrpcServer } from "@steward/grpc/testing";
import { systemClock, type Clock } from "@steward/core";
import { FakeClock } from "@steward/testing";
import { startPostgres } from "@steward/launchers";
import { sql } from "drizzle-orm";
import { inPackage } from "../../src/folders.ts";
import { Jobs, type Claim } from "../../src/processing/jobs.ts";
import { Processor } from "../../src/processing/processor.ts";
import type { StoredJob } from "../../src/processing/table.ts";
import type { Rendered } from "../../src/renderer/render.ts";
import { Renderer } from "../../src/renderer/service.ts";
import { CacheManager } from "@steward/cache";
import type { ShownVideo } from "../../src/videos/cached.ts";
import { Videos } from "../../src/videos/videos.ts";
import { eventually } from "./clips.ts";

// Of its own, so that nobody else takes jobs that are due.
const server = await startPostgres();
const database = await new DatabasePoolManager({ url: server.url, migrations: inPackage("migrations") }).start();
t.teardown(async () => {
  await database.stop();
  await server[Symbol.asyncDispose]();
});
const db = database.client;
const cache = await new CacheManager<ShownVideo>().start();
const videos = new Videos(db, cache.client, { invalidate: async () => ({ spread: true }) });
const LONG_MS = 60_000;

function jobsOf(leaseMs: number, clock: Clock = systemClock): Jobs {
  return new Jobs(db, leaseMs, clock);
}

async function newVideo(): Promise<string> {
  const { id } = await videos.add({ title: "x", sourceUrl: "https://example.com/x.mp4", durationMs: 10_000 });
  return id;
}

function step(position: number): Rendered {
  return { stage: "ENCODING", percent: position * 10, checkpoint: { position, state: Buffer.alloc(32, position) } };
}

/** Whose lease ends with the file. */
const held: Claim[] = [];
t.teardown(() => {
  for (const { lease } of held) lease.end();
});

/** Takes the job that was opened; tests here leave none open. */
async function claimed(jobs: Jobs) {
  const claim = await jobs.claim();
  if (claim === undefined) throw new Error("no job is due");
  held.push(claim);
  return claim;
}

t.test("a job that is queued in a transaction is there with it, or not at all", async (t) => {
  const jobs = jobsOf(LONG_MS);
  const video = { title: "x", sourceUrl: "https://example.com/x.mp4", durationMs: 10_000 };
  let lost = "";
  const adding = videos.add(video, async (id, within) => {
    lost = id;
    t.match(await jobs.queue(id, within), { videoId: id, status: "queued" });
    t.notOk(await jobs.isAnyDue(), "no one sees it before the commit");
    throw new Error("changed my mind");
  });
  await t.rejects(adding, { message: "changed my mind" });
  t.equal(await jobs.last(lost), undefined);
  t.equal(await videos.find(lost), undefined);
  const { id } = await videos.add(video, (id, within) => jobs.queue(id, within));
  const claim = await claimed(jobs);
  t.equal(claim.job.videoId, id);
  await jobs.finish(claim);
});

t.test("a video has one open job, however many ask at once; the next one begins anew", async (t) => {
  const [one, other] = [jobsOf(LONG_MS), jobsOf(LONG_MS)];
  const videoId = await newVideo();
  t.equal(await one.last(videoId), undefined);
  let queued = 0;
  const forget = one.onQueued(() => queued++);
  const opened = await Promise.all([one, other, one, other, one].map((jobs) => jobs.open(videoId)));
  t.equal(new Set(opened.map(({ id }) => id)).size, 1);
  t.ok(queued <= 1, "only who made it is told");
  forget();
  const claim = await claimed(one);
  t.equal((await other.open(videoId)).id, claim.job.id, "also while it is being processed");
  const done = await one.finish(claim);
  t.match(done, { status: "done", progress: 100, holder: null });
  const next = await other.open(videoId);
  t.not(next.id, done.id);
  t.match(next, { status: "queued", progress: 0, attempt: 0 });
  t.equal((await one.last(videoId))?.id, next.id);
  await one.finish(await claimed(one));
});

t.test("of many instances that want a job one gets it", async (t) => {
  const instances = Array.from({ length: 8 }, () => jobsOf(LONG_MS));
  const ids = await Promise.all(Array.from({ length: 3 }, newVideo));
  await Promise.all(ids.map((id) => instances[0]?.open(id)));
  const claims = await Promise.all([...instances, ...instances].map((jobs) => jobs.claim()));
  const taken = claims.flatMap((claim) => claim?.job.videoId ?? []);
  t.strictSame([...taken].sort(), [...ids].sort());
  await Promise.all(claims.map((claim, i) => claim && instances[i % 8]?.finish(claim)));
  held.push(...claims.flatMap((claim) => claim ?? []));
});

t.test("nobody waits for a job that another one is taking, nor takes it too", async (t) => {
  const jobs = jobsOf(LONG_MS);
  const { id } = await jobs.open(await newVideo());
  const other = await begin(db);
  await other.execute(sql`update processing_jobs set due_at = now() + interval '1 hour' where id = ${id}`);
  t.equal(await jobs.claim(), undefined, "while it is being taken");
  await other.rollback();
  const claim = await claimed(jobs);
  t.equal(claim.job.id, id);
  await jobs.finish(claim);
});

t.test("who gives no sign of life loses its job, and can change nothing of it any more", async (t) => {
  // Its clock stands still, so it does not notice itself.
  const asleep = jobsOf(50, new FakeClock());
  const awake = jobsOf(LONG_MS);
  const videoId = await newVideo();
  await asleep.open(videoId);
  const old = await claimed(asleep);
  await asleep.advance(old, step(3));
  t.ok(await eventually(() => awake.isAnyDue()), "it is due again once the lease is over");
  const claim = await claimed(awake);
  t.match(claim.job, { id: old.job.id, position: 3, progress: 30, attempt: 2, failures: 1 });
  t.strictSame(claim.job.checkpoint, step(3).checkpoint.state);
  await t.rejects(asleep.advance(old, step(4)), { code: "RESOURCE_UNAVAILABLE", message: /it has been taken/ });
  t.ok(old.lease.signal.aborted);
  await t.rejects(asleep.renew(old), { code: "RESOURCE_UNAVAILABLE" });
  await t.rejects(asleep.finish(old), { code: "RESOURCE_UNAVAILABLE" });
  t.match(await awake.advance(claim, step(5)), { position: 5, failures: 0 });
  await awake.finish(claim);
  t.notOk(claim.lease.signal.aborted);
});

t.test("a job stays with who renews it", async (t) => {
  const [holder, other] = [jobsOf(LONG_MS), jobsOf(LONG_MS)];
  const videoId = await newVideo();
  await holder.open(videoId);
  const claim = await claimed(holder);
  await db.$client`update processing_jobs set due_at = now() where id = ${claim.job.id}`;
  t.ok(await other.isAnyDue());
  await holder.renew(claim);
  t.equal(await other.claim(), undefined);
  await holder.finish(claim);
});

t.test("a job that was given back is taken after its pause, by whoever comes first", async (t) => {
  const [one, other] = [jobsOf(LONG_MS), jobsOf(LONG_MS)];
  const videoId = await newVideo();
  await one.open(videoId);
  const claim = await claimed(one);
  await one.advance(claim, step(2));
  const back = await one.release(claim, { delayMs: LONG_MS, error: "why" });
  t.match(back, { status: "queued", position: 2, failures: 1, error: "why", holder: null });
  t.notOk(await other.isAnyDue());
  t.equal(await other.claim(), undefined);
  await t.rejects(one.advance(claim, step(3)), { code: "RESOURCE_UNAVAILABLE" }, "it is not ours any more");
  await db.$client`update processing_jobs set due_at = now() where id = ${claim.job.id}`;
  const next = await claimed(other);
  t.match(next.job, { id: claim.job.id, position: 2, attempt: 2, failures: 1 });
  t.match(await other.release(next, { delayMs: 0 }), { failures: 1 }, "without an error it is no failure");
  await one.finish(await claimed(one));
});

/** Works on one video with a renderer of the test's own, until its job has ended. */
async function process(render: (request: unknown) => AsyncIterable<unknown>): Promise<readonly StoredJob[]> {
  const service = { definition: Renderer.service, handlers: new Map([["Render", render]]) };
  await using rendering = await testGrpcServer({ services: [service] }).start();
  await using channel = await new GrpcChannelManager({ address: rendering.client.address }).start();
  const jobs = jobsOf(LONG_MS);
  const told: StoredJob[] = [];
  const abort = new AbortController();
  const log = { info: () => {}, warn: () => {} };
  const processor = new Processor({
    jobs,
    videos,
    log,
    clock: systemClock,
    renderer: channel.client.as(Renderer),
    listen: async () => {},
    announce: (job) => void told.push(job),
    patience: { maxFailures: 3, baseDelayMs: 2, maxDelayMs: 10 },
  });
  const running = processor.run(abort.signal);
  const videoId = await newVideo();
  await jobs.open(videoId);
  const hasEnded = async () => ["done", "failed"].includes(String((await jobs.last(videoId))?.status));
  const inTime = await eventually(hasEnded);
  abort.abort();
  await running;
  if (!inTime) throw new Error(`it did not end: ${JSON.stringify(told.at(-1))}`);
  return told;
}

t.test("a renderer that refuses a video is asked once", async (t) => {
  let asked = 0;
  const told = await process(() => {
    asked++;
    throw new GrpcStatusError("INVALID_ARGUMENT", "this is no video");
  });
  t.equal(asked, 1);
  t.match(told.at(-1), { status: "failed", attempt: 1, error: "the renderer refused the video: this is no video" });
});

t.test("a renderer that fails every time is asked so many times, and no more", async (t) => {
  let asked = 0;
  const told = await process(() => {
    asked++;
    throw new Error("a secret of the renderer");
  });
  t.equal(asked, 3);
  t.match(told.at(-1), { status: "failed", attempt: 3, error: "the renderer did not finish (INTERNAL)" });
  t.notMatch(JSON.stringify(told), /secret/);
});

t.test("one that gets a step further each time is asked until all is done, from where it was", async (t) => {
  const resumed: number[] = [];
  const told = await process(async function* (request) {
    const { resume, jobId } = request as { resume?: { position: number } | null; jobId: string }; // the .proto says so
    const from = resume?.position ?? 0;
    resumed.push(from);
    const at = (position: number) => ({ jobId, stage: "STAGE_ENCODING", ...wire(step(position)) });
    yield at(from);
    yield at(from + 1);
    // It goes back, which changes nothing.
    yield at(from);
    if (from + 1 < 10) throw new GrpcStatusError("UNAVAILABLE", "again");
  });
  t.strictSame(resumed, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  t.match(told.at(-1), { status: "done", attempt: 10, failures: 0, progress: 100, error: null });
  const progress = told.map((job) => job.progress);
  t.strictSame(
    progress,
    [...progress].sort((a, b) => a - b),
  );
});

function wire({ percent, checkpoint }: Rendered): object {
  return { percent, checkpoint };
}

t.test("one that ends too early is not believed", async (t) => {
  const told = await process(async function* () {
    yield { stage: "STAGE_ENCODING", ...wire(step(1)) };
  });
  t.match(told.at(-1), { status: "failed", progress: 10, error: "processing was interrupted" });
});
