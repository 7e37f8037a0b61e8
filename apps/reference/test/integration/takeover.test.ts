import { once } from "node:events";
import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { startPostgres } from "@steward/launchers";
import t from "tap";
import { ClipsProcess, LocalClips } from "./clips.ts";
import {
  addVideo,
  DURATION_MS,
  freePort,
  isInOrder,
  process as start,
  resultOf,
  stateOf,
  Watcher,
  wholeResult,
} from "./watching.ts";

// Programs are started a dozen times, which a busy machine takes its time for.
t.setTimeout(240_000);
const database = await startPostgres();
t.teardown(() => database[Symbol.asyncDispose]());

const quick = { DATABASE_URL: database.url, RENDERER_STEP_MS: "5" };
/** So slow that a test can meet it at work, however busy the machine is. */
const slow = { DATABASE_URL: database.url, RENDERER_STEP_MS: "150" };

/** A renderer in a process of its own, and where it listens. */
async function startRenderer(port: number, stepMs = slow.RENDERER_STEP_MS) {
  const program = new ClipsProcess({ RENDERER_PORT: String(port), RENDERER_STEP_MS: stepMs }, "dist/renderer/main.js");
  await program.says(/listens at \S+\n/);
  const [, address = ""] = /listens at (\S+)\n/.exec(program.output) ?? [];
  return { program, url: `http://${address}` };
}

t.test("a renderer that is killed in the middle and started again goes on where it was", async (t) => {
  const port = await freePort();
  const first = await startRenderer(port);
  await using _first = first.program;
  await using clips = await LocalClips.start({ ...slow, RENDERER_URL: first.url });
  const id = await addVideo(clips.url, DURATION_MS);
  await using watcher = await Watcher.join(clips.url, id);
  const job = await start(clips.url, id);
  await watcher.hears(({ progress }) => progress >= 25);
  first.program.kill("SIGKILL");
  await first.program.ended;
  await using _second = (await startRenderer(port, "5")).program;
  const told = await watcher.toTheEnd();
  t.match(told.at(-1), { id: job.id, status: "done", progress: 100, error: null });
  t.ok((told.at(-1)?.attempt ?? 0) >= 2);
  t.ok(isInOrder(told), "progress never goes back");
  t.ok(
    told.some(({ status, error }) => status === "queued" && error?.startsWith("the renderer did not finish") === true),
    "whoever watches is told why it waits",
  );
  t.strictSame(await resultOf(clips, job), wholeResult(), "no step is missing, and none was done twice");
});

t.test("while the renderer is away Clips is up, and takes jobs that wait for it", async (t) => {
  const port = await freePort();
  await using clips = await LocalClips.start({ ...quick, RENDERER_URL: `http://127.0.0.1:${port}` });
  const { url } = clips;
  t.equal((await fetch(`${url}/readyz`)).status, 200);
  t.match(await (await fetch(`${url}/health/resources/renderer`)).json(), { criticality: "optional" });
  const id = await addVideo(url, DURATION_MS);
  await start(url, id);
  await clips.running.probe();
  t.match(await stateOf(url, id), { status: "queued", attempt: 0, error: null }, "no attempt is spent");
  await using _renderer = (await startRenderer(port, "5")).program;
  await using watcher = await Watcher.join(url, id);
  t.match((await watcher.toTheEnd()).at(-1), { status: "done", progress: 100 });
});

t.test("a stop in the middle of a job ends Clips in time; the next start goes on with it", async (t) => {
  const clips = new ClipsProcess(slow);
  await using _clips = clips;
  const url = await clips.ready();
  const id = await addVideo(url, DURATION_MS);
  await using watcher = await Watcher.join(url, id);
  const job = await start(url, id);
  await watcher.hears(({ progress }) => progress >= 25);
  clips.kill("SIGINT"); // after SIGTERM it would go on with the job for as long as it takes requests
  t.strictSame(await clips.ended, { code: 0, signal: null });
  const last = watcher.told.at(-1);
  t.match(last, { status: "queued", error: null }, "it was given back, and that was told");
  await using again = await LocalClips.start(quick);
  await using other = await Watcher.join(again.url, id);
  const told = await other.toTheEnd();
  t.match(told.at(-1), { id: job.id, status: "done", error: null });
  t.ok((told.at(-1)?.attempt ?? 0) >= 2);
  t.ok(isInOrder([...watcher.told, ...told]));
  t.strictSame(await resultOf(again, job), wholeResult());
});

t.test("a job whose instance was killed goes on at another one", async (t) => {
  const killed = new ClipsProcess({ ...slow, PROCESSING_LEASE_MS: "2000" });
  await using _killed = killed;
  const url = await killed.ready();
  const id = await addVideo(url, DURATION_MS);
  // It can only watch: its renderer is nowhere.
  await using other = await LocalClips.start({ ...quick, RENDERER_URL: `http://127.0.0.1:${await freePort()}` });
  await using watcher = await Watcher.join(other.url, id);
  const job = await start(url, id);
  await watcher.hears(({ progress }) => progress >= 25);
  killed.kill("SIGKILL");
  await killed.ended;
  t.match(await stateOf(other.url, id), { status: "processing" }, "nobody knows yet");
  await using third = await LocalClips.start(quick);
  const told = await watcher.toTheEnd();
  t.match(told.at(-1), { id: job.id, status: "done" });
  t.ok((told.at(-1)?.attempt ?? 0) >= 2);
  t.ok(isInOrder(told));
  t.strictSame(await resultOf(third, job), wholeResult());
});

/** The same database at another port, that listens from when it is asked to. */
async function lateDoor() {
  const url = new URL(database.url);
  const port = await freePort();
  const target = Number(url.port);
  const server = createServer((socket) => {
    const inner = connect(target, url.hostname);
    for (const [from, to] of [
      [socket, inner],
      [inner, socket],
    ] as const)
      from
        .on("error", () => to.destroy())
        .on("close", () => to.destroy())
        .pipe(to);
  });
  url.port = String(port);
  url.hostname = "127.0.0.1";
  const open = (): Promise<unknown> => once(server.listen(port, "127.0.0.1"), "listening");
  return { url: url.href, open, [Symbol.dispose]: () => void server.close() };
}

t.test("Clips starts although its database comes up 3 s later", async (t) => {
  using door = await lateDoor();
  await using clips = new ClipsProcess({ DATABASE_URL: door.url });
  await clips.says(/listening at/);
  await sleep(3_000); // the lateness itself
  t.notMatch(clips.output, /Clips is ready/);
  await door.open();
  const url = await clips.ready();
  t.equal((await fetch(`${url}/readyz`)).status, 200);
  t.equal(clips.errors, "");
  clips.kill("SIGINT");
  t.equal((await clips.ended).code, 0);
});

t.test("a wrong password is not tried again", async (t) => {
  const url = new URL(database.url);
  url.password = "wrong";
  await using clips = new ClipsProcess({ DATABASE_URL: url.href });
  t.equal((await clips.ended).code, 1);
  t.match(clips.errors, /START_FAILED: "db" failed in start after \d+ ms: .*password/);
  t.notMatch(clips.errors, /tried \d+ times/);
});
