import { randomBytes } from "node:crypto";
import { pino } from "pino";
import t from "tap";
import type { Problem } from "@steward/fastify";
import { postgresForTests } from "@steward/launchers";
import { clips as all } from "../../src/clips.ts";
import { log } from "../../src/resources/log.ts";
import type { Video } from "../../src/videos/table.ts";
import { db } from "../../src/resources/stores.ts";
import type { VideoPage } from "../../src/videos/videos.ts";
import { eventually, LocalClips } from "./clips.ts";
import { addVideo, process as start, stateOf } from "./watching.ts";

const database = await postgresForTests();
const QUOTA = { UPLOADS_PER_USER: "3", UPLOAD_BYTES_PER_USER: "1000000" };
const errors: string[] = [];
const ofErrors = pino({ level: "error" }, { write: (line: string) => void errors.push(line) });
const clips = await LocalClips.start({ DATABASE_URL: database.url, ...QUOTA }, all.override(log, ofErrors));
t.teardown(async () => {
  for (const each of [clips, database]) await each[Symbol.asyncDispose]();
});

type Headers = Readonly<Record<string, string>>;

function upload(headers: Headers, content: Buffer): Promise<Response> {
  const body = new FormData();
  body.append("title", "Sound");
  body.append("file", new File([content], "a.wav", { type: "audio/wav" }));
  return fetch(`${clips.url}/api/v1/uploads`, { method: "POST", headers, body });
}

t.test("a player gets the part that it asks for, and what it has is not sent again", async (t) => {
  const content = randomBytes(600_000); // more than two pieces
  const video = (await (await upload(await clips.as("viewer"), content)).json()) as Video; // the API says so
  const url = `${clips.url}${video.sourceUrl}`;
  const whole = await fetch(url);
  t.match(
    [whole.status, whole.headers.get("accept-ranges"), whole.headers.get("content-length")],
    [200, "bytes", "600000"],
  );
  t.ok(content.equals(Buffer.from(await whole.arrayBuffer())));
  const etag = whole.headers.get("etag") ?? "";
  t.match(etag, /^"[^"]+"$/, "a strong one, by which parts can be put together");
  const get = async (headers: Headers) => {
    const response = await fetch(url, { headers });
    const body = Buffer.from(await response.arrayBuffer());
    return { status: response.status, range: response.headers.get("content-range"), body };
  };
  const sizeOf = async (headers: Headers) => {
    const { status, range, body } = await get(headers);
    return [status, range, body.length];
  };
  for (const [range, start, end] of [
    ["bytes=0-", 0, 599_999],
    ["bytes=0-1", 0, 1],
    ["bytes=262143-262144", 262_143, 262_144],
    ["bytes=100000-599999", 100_000, 599_999],
    ["bytes=599999-9999999999", 599_999, 599_999],
    ["bytes=-5", 599_995, 599_999],
    ["bytes=-700000", 0, 599_999],
    ["BYTES=7-7", 7, 7],
  ] as const) {
    const { status, range: given, body } = await get({ range });
    t.strictSame([status, given], [206, `bytes ${start}-${end}/600000`], range);
    t.ok(content.subarray(start, end + 1).equals(body), range);
  }
  for (const range of ["bytes=5-4", "bytes=0-1,4-5", "bytes=-", "bytes=x-", "lines=0-1", ""])
    t.strictSame(await sizeOf({ range }), [200, null, 600_000], `all of it for ${range}`);
  for (const range of ["bytes=600000-", "bytes=-0"]) {
    const response = await fetch(url, { headers: { range } });
    t.strictSame([response.status, response.headers.get("content-range")], [416, "bytes */600000"], range);
    t.match(await response.json(), {
      status: 416,
      code: "RANGE_NOT_SATISFIABLE",
      detail: /ask for some of 0 to 599999/,
    });
  }
  t.equal((await get({ range: "bytes=0-1", "if-range": etag })).status, 206);
  for (const other of ['"other"', `W/${etag}`, new Date().toUTCString()])
    t.equal((await get({ range: "bytes=0-1", "if-range": other })).status, 200, `it may be another one: ${other}`);
  for (const known of [etag, `W/${etag}`, `"other", ${etag}`, "*"])
    t.strictSame(await sizeOf({ "if-none-match": known, range: "bytes=0-1" }), [304, null, 0], known);
  t.equal((await get({ "if-none-match": '"other"' })).status, 200);
  const head = await fetch(url, { method: "HEAD", headers: { range: "bytes=0-1" } });
  t.strictSame([head.status, head.headers.get("content-length"), head.headers.get("etag")], [200, "600000", etag]);
  t.strictSame([head.headers.get("content-type"), await head.text()], ["audio/wav", ""]);
  t.equal((await fetch(url, { method: "HEAD", headers: { "if-none-match": etag } })).status, 304);
});

t.test("a player that goes in the middle ends what is read for it", async (t) => {
  const content = randomBytes(600_000);
  const video = (await (await upload(await clips.as("viewer"), content)).json()) as Video; // the API says so
  const gone = new AbortController();
  const response = await fetch(`${clips.url}${video.sourceUrl}`, { signal: gone.signal });
  gone.abort();
  await t.rejects(response.arrayBuffer());
  const again = await fetch(`${clips.url}${video.sourceUrl}`, { headers: { range: "bytes=300000-" } });
  t.ok(content.subarray(300_000).equals(Buffer.from(await again.arrayBuffer())));
});

/** What becomes of uploads that are all sent at once, over as many connections. */
async function uploadAll(headers: Headers, sizes: readonly number[]) {
  const answers = await Promise.all(sizes.map((size) => upload(headers, randomBytes(size))));
  const refused = await Promise.all(
    answers.filter(({ ok }) => !ok).map(async (answer) => (await answer.json()) as Problem),
  );
  return { taken: answers.filter(({ status }) => status === 201).length, refused };
}

t.test("a user has so many uploads, however many are sent at once", async (t) => {
  const headers = await clips.as("viewer");
  const { taken, refused } = await uploadAll(headers, Array<number>(8).fill(10));
  t.equal(taken, 3);
  for (const problem of refused)
    t.match(problem, {
      status: 413,
      code: "UPLOAD_QUOTA_EXCEEDED",
      detail:
        /^you have uploaded 3 files, of 3: UPLOADS_PER_USER, which an operator may raise; a video that you delete/,
    });
  t.equal(refused.length, 5);
  t.equal((await upload(await clips.as("viewer"), Buffer.from("x"))).status, 201, "another user has their own");
});

t.test("the bytes of a user's uploads are bounded together, to the last one", async (t) => {
  const headers = await clips.as("viewer");
  const { taken, refused } = await uploadAll(headers, Array<number>(6).fill(400_000));
  t.equal(taken, 2);
  const detail = /^this file has 400000 bytes, and you have 200000 left of 1000000: UPLOAD_BYTES_PER_USER/;
  t.equal(refused.length, 4);
  for (const problem of refused) t.match(problem, { status: 413, code: "UPLOAD_QUOTA_EXCEEDED", detail });
  t.equal((await upload(headers, randomBytes(200_001))).status, 413);
  t.equal((await upload(headers, randomBytes(200_000))).status, 201);
});

t.test("who has uploaded a video may delete it, while it is processed too, and has room for another one", async (t) => {
  const { url } = clips;
  const headers = await clips.as("viewer");
  const again = () => upload(headers, randomBytes(333_333));
  const { id } = (await (await again()).json()) as Video; // the API says so
  for (let more = 0; more < 2; more++) await again();
  t.equal((await again()).status, 413);
  await start(url, id);
  t.ok(await eventually(async () => (await stateOf(url, id)).progress > 0));
  const remove = async (headers: Headers, which = id) =>
    (await fetch(`${url}/api/v1/videos/${which}`, { method: "DELETE", headers })).status;
  t.strictSame([await remove({}), await remove(await clips.admin)], [401, 403], "no one else");
  t.equal(await remove(headers, await addVideo(url, 1_000)), 403, "what was added by its address is no one's");
  t.equal(await remove(headers), 204);
  for (const path of ["", "/media", "/process"])
    t.equal((await fetch(`${url}/api/v1/videos/${id}${path}`)).status, 404, path);
  t.notMatch(await (await fetch(`${url}/api/v1/videos?limit=100`)).text(), id);
  t.equal(await remove(headers), 404);
  t.equal((await again()).status, 201);
  const [known] = ((await (await fetch(`${url}/api/v1/videos`)).json()) as VideoPage).items; // the API says so
  t.equal((await fetch(`${url}/api/v1/videos/${known?.id}`)).status, 200);
  await clips.running.get(db).$client`delete from videos`; // by an instance that we have heard nothing from yet
  const late = await fetch(`${url}/api/v1/videos/${known?.id}/process`, { method: "POST" });
  t.match(await late.json(), { status: 404, detail: `there is no video ${known?.id}` });
});

t.test("any other reference to what is not there is our fault: 500, and in the log", async (t) => {
  const { $client: sql } = clips.running.get(db);
  await sql`alter table videos add column series uuid default gen_random_uuid() references users (id)`;
  const body = JSON.stringify({ title: "one", sourceUrl: "https://example.com/one.mp4" });
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${clips.url}/api/v1/videos`, { method: "POST", headers, body });
  t.equal(response.status, 500);
  t.match(errors.splice(0), [/videos_series_fkey/]);
});
