import { once } from "node:events";
import { Agent, createServer, request as httpRequest, type RequestListener, type Server } from "node:http";
import t from "tap";
import { webhook } from "@steward/telemetry/alerts";
import { postgresForTests, redisForTests, startPostgres } from "@steward/launchers";
import { clips } from "../../src/clips.ts";
import { installed } from "../../src/models/installed.ts";
import { http } from "../../src/resources/http.ts";
import { db } from "../../src/resources/stores.ts";
import type { FoundSpeech } from "../../src/speech/speech.ts";
import type { VideoPage } from "../../src/videos/videos.ts";
import type { Video } from "../../src/videos/table.ts";
import { videos } from "../../src/videos/videos.ts";
import { joined, silence, voice, wav } from "../sound.ts";
import { eventually, LocalClips } from "./clips.ts";
import { compareWith } from "./expressions.ts";

const VIDEO = { title: "Sunrise", sourceUrl: "https://example.com/sunrise.mp4", durationMs: 90_000 };
const database = await postgresForTests();
const redis = await redisForTests();
// With no settings but where its database is.
const plain = await LocalClips.start({ DATABASE_URL: database.url });
t.teardown(async () => {
  for (const each of [plain, database, redis]) await each[Symbol.asyncDispose]();
});

function post(app: LocalClips, payload: object = VIDEO) {
  return app.server.app.inject({ method: "POST", url: "/api/v1/videos", payload });
}

/** What the health document says of a resource. */
async function details(app: LocalClips, name: string): Promise<Readonly<Record<string, unknown>>> {
  const answer = await app.server.app.inject(`/health/resources/${name}`);
  return answer.json<{ about: Record<string, unknown> }>().about;
}

/** A server whose requests a test answers when it likes. */
async function startUpstream(answer: RequestListener): Promise<Server & AsyncDisposable & { readonly origin: string }> {
  const upstream = createServer(answer).listen(0, "127.0.0.1");
  await once(upstream, "listening");
  const address = upstream.address();
  const origin = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  return Object.assign(upstream, {
    origin,
    [Symbol.asyncDispose]: async () => {
      upstream.closeAllConnections();
      upstream.close();
    },
  });
}

t.test("all videos are streamed, line by line and page by page", async (t) => {
  await using own = await postgresForTests();
  await using app = await LocalClips.start({ DATABASE_URL: own.url });
  // Not injected: light-my-request would keep the process for the 60 s of a response that ends without a byte.
  t.equal(await (await fetch(`${app.url}/api/v1/videos/export`)).text(), "");
  await app.running.get(db).$client`
    insert into videos (title, source_url) select 'video ' || n, 'https://example.com/' from generate_series(1, 250) n`;
  const { headers, body } = await app.server.app.inject("/api/v1/videos/export");
  t.equal(headers["content-type"], "application/x-ndjson");
  const titles = body
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as Video).title); // what the API sends
  t.equal(new Set(titles).size, 250);
});

t.test("without Redis a video is stored and found, and the cache is reported as disabled", async (t) => {
  const path = process.env["PATH"];
  process.env["PATH"] = "/nowhere"; // a Redis there would be started
  t.teardown(() => (process.env["PATH"] = path));
  await using app = await LocalClips.start({ DATABASE_URL: database.url });
  const added = await post(app);
  t.equal(added.statusCode, 201);
  const video = added.json<Video>();
  t.match(video, { ...VIDEO, description: null, id: /^[0-9a-f-]{36}$/ });
  const found = await app.server.app.inject(String(added.headers["location"]));
  t.equal(found.statusCode, 200);
  t.strictSame(found.json(), video);
  t.match((await app.server.app.inject("/health/resources/cache")).json(), { phase: "disabled" });
  t.equal((await app.server.app.inject(String(added.headers["location"]))).statusCode, 200);
  t.ok(await eventually(async () => (await details(app, "videoCache"))["hits"] === 1), "it is held in memory");
  t.match((await app.server.app.inject("/health/resources/redis")).json(), { phase: "disabled" });
  const health = async () => (await app.server.app.inject("/health")).json<{ status: string }>().status;
  t.ok(await eventually(async () => (await health()) === "healthy"));
  const nobody = await app.server.app.inject("/api/v1/videos/00000000-0000-4000-8000-000000000000");
  t.equal(nobody.statusCode, 404);
  t.equal(nobody.headers["content-type"], "application/problem+json; charset=utf-8");
  const metrics = (await app.server.app.inject("/metrics")).body;
  t.match(metrics, /^http_server_request_duration_seconds_count\{.*http_route="\/api\/v1\/videos\/:id".*\} 1$/m);
  t.match(metrics, /^http_server_active_requests\{.*\} 1$/m, "this one");
});

t.test("pages go newest first, and a cursor goes on where its page ended", async (t) => {
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) ids.unshift((await post(plain, { ...VIDEO, title: `video ${i}` })).json<Video>().id);
  const seen: string[] = [];
  let url = "/api/v1/videos?limit=2";
  for (let pages = 0; pages < 3; pages++) {
    const page = (await plain.server.app.inject(url)).json<VideoPage>();
    seen.push(...page.items.map(({ id }) => id));
    url = `/api/v1/videos?limit=2&cursor=${page.next}`;
  }
  t.strictSame(seen.slice(0, 5), ids);
  t.equal((await plain.server.app.inject("/api/v1/videos?cursor=bm90IG91cnM")).statusCode, 422);
});

t.test(
  "videos and their pages are read through a cache, and from the database when Redis is down",
  { skip: redis.skip },
  async (t) => {
    if (redis.skip !== false) return;
    const env = { DATABASE_URL: database.url, REDIS_URL: redis.url };
    await using app = await LocalClips.start(env);
    await using other = await LocalClips.start(env);
    const url = String((await post(app)).headers["location"]);
    const first = await app.server.app.inject(url);
    t.strictSame((await other.server.app.inject(url)).json(), first.json());
    t.ok(
      await eventually(async () => (await details(other, "videoCache"))["hits"] === 1),
      "one has loaded it for both",
    );
    t.match(await details(other, "videoCache"), { loads: 0 });
    const pages = (of: LocalClips) => of.server.app.inject("/api/v1/videos?limit=1");
    const page = await pages(app);
    const { etag } = page.headers;
    const again = await other.server.app.inject({ url: "/api/v1/videos?limit=1", headers: { "if-none-match": etag } });
    t.strictSame([again.statusCode, again.headers["cache-status"]], [304, "steward; hit"]);
    const added = (await post(app, { ...VIDEO, title: "newer" })).json<Video>();
    t.equal((await pages(app)).json<VideoPage>().items[0]?.id, added.id);
    t.ok(await eventually(async () => (await pages(other)).json<VideoPage>().items[0]?.id === added.id));
    const metrics = (await app.server.app.inject("/metrics")).body;
    t.match(metrics, /^steward_cache_lookups_total\{.*"videoCache".*\} \d+$/m);
    t.match(metrics, /^steward_rate_limit_decisions_total\{.*"upload".*\} [1-9]\d*$/m);
    const { unknown, missing, seen } = compareWith(metrics);
    t.strictSame(unknown, [], "the table of metrics has every series of Clips, with its labels");
    t.strictSame(missing, [], "Clips has every series and label that alert rules and dashboards ask for");
    t.ok(seen > 40, `${seen} expressions were read`);
    if (redis.server === undefined) return; // a Redis of somebody else is not ours to kill
    await redis.server.kill();
    t.equal((await app.server.app.inject(url)).statusCode, 200);
    t.equal((await pages(app)).statusCode, 200);
    await app.server.app.inject("/api/v1/videos/00000000-0000-4000-8000-000000000001");
    t.match((await app.server.app.inject("/health/cache")).json(), { status: "degraded" });
    t.equal((await app.server.app.inject("/readyz")).statusCode, 200);
    await redis.server.restart();
    t.ok(
      await eventually(async () => {
        await app.running.probe();
        return (await app.server.app.inject("/health/cache")).json<{ status: string }>().status === "healthy";
      }),
      "it is used again",
    );
  },
);

t.test("an address that asks too often gets 429 with a time to come back, before its token is looked at", async (t) => {
  const path = process.env["PATH"];
  process.env["PATH"] = "/nowhere"; // what others have counted in a Redis is not meant
  t.teardown(() => (process.env["PATH"] = path));
  await using app = await LocalClips.start({ DATABASE_URL: database.url });
  const rotate = (headers: Record<string, string>) =>
    app.server.app.inject({ method: "POST", url: "/admin/keys/rotate", headers, payload: { backend: "none" } });
  const admin = await app.admin;
  let [guesses, refused] = [0, await rotate({})];
  // One more may ask each second, and a busy machine takes some for so many.
  while (refused.statusCode !== 429) {
    while ((await rotate({ authorization: `Bearer guess ${guesses}` })).statusCode === 401) guesses++;
    refused = await rotate(admin);
  }
  t.ok(guesses >= 59, `${guesses} guesses`);
  t.match(Number(refused.headers["retry-after"]) > 0, true);
});

t.test("a database that goes away is a 503 with a time to come back, and comes back by itself", async (t) => {
  await using own = await startPostgres();
  await using app = await LocalClips.start({ DATABASE_URL: own.url });
  const url = String((await post(app)).headers["location"]);
  await own.kill();
  const gone = await app.server.app.inject("/api/v1/videos");
  t.equal(gone.statusCode, 503);
  t.match(gone.headers["retry-after"], /^[1-9]/);
  t.notMatch(gone.body, /127\.0\.0\.1|select/, "what is inside stays inside");
  await app.running.probe();
  t.equal((await app.server.app.inject("/livez")).statusCode, 200);
  t.equal(
    (await app.server.app.inject("/readyz")).statusCode,
    200,
    "one blip of a shared database empties no load balancer",
  );
  await own.restart();
  t.ok(await eventually(async () => (await app.server.app.inject(url)).statusCode === 200));
});

t.test("data comes from origins on the allow list, and from no other", async (t) => {
  await using upstream = await startUpstream((request, response) => {
    if (request.url === "/large") response.end("x".repeat(2 * 1024 * 1024));
    else if (request.url === "/reset") request.socket.destroy();
    else response.writeHead(418, { "content-type": "text/plain" }).end("short and stout");
  });
  await using app = await LocalClips.start({ DATABASE_URL: database.url, ALLOWED_ORIGINS: upstream.origin });
  const send = webhook(app.running.get(http), `${upstream.origin}/alerts`);
  const alert = { rule: "down", status: "firing", text: "db is down" } as const;
  const message = { ...alert, container: "clips", since: "", at: "", value: undefined, suppressed: 0 };
  await t.rejects(send(message, { signal: AbortSignal.timeout(5_000) }), { code: "TELEMETRY_WEBHOOK_REFUSED" });
  const data = (url: string) => app.server.app.inject({ url: "/api/data", query: { url } });
  const found = await data(`${upstream.origin}/tea?for=2`);
  t.equal(found.statusCode, 200);
  t.strictSame(found.json(), {
    url: `${upstream.origin}/tea?for=2`,
    status: 418,
    contentType: "text/plain",
    body: "short and stout",
  });
  t.equal((await data("http://localhost:1/")).statusCode, 403);
  t.equal((await data(`${upstream.origin.replace("127.0.0.1", "127.0.0.2")}/`)).statusCode, 403);
  t.equal((await data(`${upstream.origin}/large`)).statusCode, 502);
  t.equal((await data(`${upstream.origin}/reset`)).statusCode, 502);
  t.equal(
    (await plain.server.app.inject({ url: "/api/data", query: { url: upstream.origin } })).statusCode,
    403,
    "the list is empty by default",
  );
});

t.test("a client that goes ends the work that was done for it", async (t) => {
  await using upstream = await startUpstream(() => {});
  await using app = await LocalClips.start({ DATABASE_URL: database.url, ALLOWED_ORIGINS: upstream.origin });
  const client = httpRequest(`${app.url}/api/data?url=${upstream.origin}`).on("error", () => {});
  const asked = once(upstream, "request");
  client.end();
  const [request] = await asked;
  const gone = once(request.socket, "close");
  client.destroy();
  await gone;
  t.pass("the other service was told");
});

t.test("a drain lets requests finish, closes idle connections, and takes no new ones", async (t) => {
  await using upstream = await startUpstream(() => {});
  await using app = await LocalClips.start({ DATABASE_URL: database.url, ALLOWED_ORIGINS: upstream.origin });
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  const asked = once(upstream, "request");
  const slow = once(httpRequest(`${app.url}/api/data?url=${upstream.origin}`, { agent }).end(), "response");
  const [, answer] = await asked;
  const [idle] = await once(httpRequest(`${app.url}/livez`, { agent }).end(), "response");
  idle.resume();
  const stopped = app.running.stop();
  t.ok(
    await eventually(() =>
      fetch(`${app.url}/livez`).then(
        () => false,
        () => true,
      ),
    ),
    "no new connection",
  );
  answer.end("late");
  const [response] = await slow;
  t.equal(response.statusCode, 200);
  response.resume();
  await stopped;
});

t.test("the page is for browsers, and what runs for programs", async (t) => {
  const page = await fetch(`${plain.url}/`, { headers: { accept: "text/html,application/xhtml+xml,*/*;q=0.8" } });
  t.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
  t.match(page.headers.get("content-security-policy"), /default-src 'none'/);
  t.match(page.headers.get("content-security-policy"), /script-src 'self'; style-src 'self'/);
  const html = await page.text();
  t.notMatch(html, /<style|<script>|\son\w+=|\sstyle=/, "nothing inline");
  for (const [, path = ""] of html.matchAll(/(?:src|href)="(\/page\/[^"]+)"/g)) {
    const file = await fetch(`${plain.url}${path}`);
    t.equal(file.status, 200, path);
    const again = await fetch(file.url, { headers: { "if-none-match": file.headers.get("etag") ?? "" } });
    t.equal(again.status, 304, "a browser that has it is sent nothing");
  }
  for (const file of ["..%2fpackage.json", "index.html"])
    t.equal((await fetch(`${plain.url}/page/${file}`)).status, 404, "nothing else, and no page without its policy");
  await plain.running.probe(); // a call of a cache that a busy machine let run out of time counts until the next one
  const overview = await fetch(`${plain.url}/`, { headers: { accept: "application/json" } }).then((response) =>
    response.json(),
  );
  const { resources } = overview as { resources: { name: string; status: string; phase: string }[] };
  t.same(
    resources.filter(({ status, phase }) => status !== "healthy" && phase !== "disabled"),
    [],
  );
  t.match(overview, { name: "Clips", status: "healthy", links: { ready: "/readyz" } });
  t.match(
    resources.find(({ name }) => name === "db"),
    { status: "healthy", driver: "database", needs: ["settings", "postgres"] },
  );
});

function noSound(): File {
  return new File([Buffer.from("RIFF....WAVE")], "../<b>.wav", { type: "audio/wav" });
}

t.test("what a user uploads is a video whose bytes come back as they were, and nothing else is taken", async (t) => {
  const headers = await plain.as("viewer");
  const send = (parts: Readonly<Record<string, string | File>>, as: Readonly<Record<string, string>> = headers) => {
    const body = new FormData();
    for (const [name, part] of Object.entries(parts)) body.append(name, part);
    return fetch(`${plain.url}/api/v1/uploads`, { method: "POST", headers: as, body });
  };
  const answer = await send({ title: "Hello", file: noSound() });
  t.equal(answer.status, 201);
  const video = (await answer.json()) as Video;
  t.match(video, { title: "Hello", sourceUrl: `/api/v1/videos/${video.id}/media` });
  const media = await fetch(`${plain.url}${video.sourceUrl}`);
  t.equal(await media.text(), "RIFF....WAVE");
  t.match(Object.fromEntries(media.headers), {
    "content-type": "audio/wav",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
  });
  const { items } = (await plain.server.app.inject("/api/v1/videos?limit=1")).json<VideoPage>();
  t.equal(items[0]?.id, video.id, "a page that was cached is void");
  t.equal((await send({ title: "Hello", file: noSound() }, {})).status, 401);
  for (const type of ["text/html", "audio/x+xml"]) {
    const page = new File(["<script>"], "a.html", { type });
    t.equal((await send({ title: "Hello", file: page })).status, 415, type);
  }
  t.equal((await send({ title: "Hello", file: new File([], "a.wav", { type: "audio/wav" }) })).status, 422);
  t.equal((await send({ title: " \0", file: noSound() })).status, 422);
  t.equal((await send({ file: noSound() })).status, 422);
  const large = new File([Buffer.alloc(16 * 1024 * 1024 + 1)], "a.wav", { type: "audio/wav" });
  t.equal((await send({ title: "Hello", file: large })).status, 413);
  const other = (await post(plain)).json<Video>();
  t.equal((await fetch(`${plain.url}/api/v1/videos/${other.id}/media`)).status, 404);
});

t.test("a page asks who is signed in, and hears of no one without a refusal", async (t) => {
  t.strictSame((await plain.server.app.inject("/session")).json(), { user: null });
  const payload = { login: "page-user", password: "correct horse battery" };
  const submit = (url: string) => plain.server.app.inject({ method: "POST", url, payload });
  t.equal((await submit("/register")).statusCode, 201);
  const cookies = [(await submit("/sign-in")).headers["set-cookie"]].flat().map((text) => String(text).split(";")[0]);
  const cookie = cookies.join("; ");
  const { user } = (await plain.server.app.inject({ url: "/session", headers: { cookie } })).json<{ user: object }>();
  t.match(user, { login: "page-user", roles: ["viewer"] });
  t.notOk("passwordHash" in user);
});

t.test("a voice is found in what is uploaded, and in what is fetched from an origin on the allow list", async (t) => {
  const content = wav(joined(silence(1), voice(2), silence(1)));
  const headers = { "content-type": "audio/x-wav" };
  await using upstream = await startUpstream((_request, response) => response.writeHead(200, headers).end(content));
  // The jobs of a database are done by whichever instance looks first: by none here whose settings are others.
  await using own = await postgresForTests();
  const env = { DATABASE_URL: own.url, ALLOWED_ORIGINS: upstream.origin, RENDERER_STEP_MS: "1" };
  const listened = async (app: LocalClips, sourceUrl: string | undefined, type = "audio/wav") => {
    let id: string;
    if (sourceUrl === undefined) {
      const body = new FormData();
      body.append("title", "Hello");
      body.append("file", new File([content], "hello.wav", { type }));
      const answer = await fetch(`${app.url}/api/v1/uploads`, {
        method: "POST",
        headers: await app.as("viewer"),
        body,
      });
      ({ id } = (await answer.json()) as Video);
    } else ({ id } = await app.running.get(videos).add({ title: "Hello", sourceUrl }));
    const url = `/api/v1/videos/${id}/process`;
    await app.server.app.inject({ method: "POST", url });
    const job = async () => (await app.server.app.inject(url)).json<{ status: string; speech?: FoundSpeech }>();
    t.ok(await eventually(async () => (await job()).status === "done"));
    return (await job()).speech;
  };
  {
    await using app = await LocalClips.start(env);
    for (const source of [undefined, `${upstream.origin}/hello.wav`]) {
      const { durationMs, segments = [] } = (await listened(app, source)) ?? {};
      t.equal(durationMs, 4_000);
      t.equal(segments.length, 1);
      t.ok(Math.abs((segments[0]?.startMs ?? 0) - 1_000) < 300 && Math.abs((segments[0]?.endMs ?? 0) - 3_000) < 300);
    }
    t.equal(await listened(app, undefined, "video/mp4"), undefined, "what is no WAV is not listened to");
    t.equal(await listened(app, "https://example.com/a.wav"), undefined, "nor is who is not on the list asked");
    t.match((await app.server.app.inject("/api/v1/models")).json(), {
      items: [{ name: "voice", status: "healthy", device: "cpu", version: 1 }, { name: "score" }],
    });
  }
  await using bare = await LocalClips.start(env, clips.override(installed, undefined));
  t.equal(await listened(bare, undefined), undefined, "without the engine a video is processed all the same");
  const { statusCode, body } = await bare.server.app.inject("/api/v1/models");
  t.match([statusCode, JSON.parse(body)], [503, { code: "MODEL_ENGINE_MISSING", detail: /not installed/ }]);
  const health = async () => (await bare.server.app.inject("/health")).json<{ status: string }>().status;
  t.ok(await eventually(async () => (await health()) === "healthy"));
});
