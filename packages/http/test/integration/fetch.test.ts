import { inspect } from "node:util";
import { gzipSync } from "node:zlib";
import { failure, trackHandles } from "@steward/testing";
import t from "tap";
import * as undici from "undici";
import { fetchOver, type HttpFetch } from "../../src/fetch/index.ts";
import { mirror, serve, started, type Mirrored } from "../servers.ts";

const handles = trackHandles();
t.teardown(() => handles.assertNoLeaks());

t.test("fetch does what the platform's does", async (t) => {
  await using server = await serve((request, response) => {
    const { pathname } = new URL(request.url ?? "", "http://x");
    if (pathname === "/302") return response.writeHead(302, { location: "/mirror" }).end();
    if (pathname === "/307") return response.writeHead(307, { location: "/mirror" }).end();
    if (pathname === "/loop") return response.writeHead(302, { location: "/loop" }).end();
    if (pathname === "/204") return response.writeHead(204).end();
    if (pathname.startsWith("/empty"))
      return response.writeHead(200, { "content-encoding": pathname.slice(7), "content-length": 0 }).end();
    if (pathname === "/gzip") return response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("unzipped"));
    if (pathname === "/cookies")
      return response
        .writeHead(
          200,
          [
            ["set-cookie", "a=1"],
            ["set-cookie", "b=2"],
          ].flat(),
        )
        .end();
    return mirror(request, response);
  });
  await using http = await started({ baseUrl: server.url });
  const ours = fetchOver(http.client);
  const params = new URLSearchParams({ q: "a b" });
  const cases: readonly [string, Record<string, unknown>?][] = [
    ["/mirror?x=1"],
    ["/mirror", { method: "POST", body: "text" }],
    ["/mirror", { method: "PUT", body: params }],
    ["/mirror", { method: "POST", body: new Uint8Array([97, 98]) }],
    ["/mirror", { method: "post", body: new Blob(["blob"], { type: "text/x" }) }],
    ["/mirror", { headers: new undici.Headers({ a: "1" }) }],
    ["/mirror", { headers: [["a", "1"]] }],
    ["/mirror", { method: "POST", body: new Uint8Array([97, 98]).buffer }],
    ["/302"],
    ["/302", { method: "POST", body: "dropped" }],
    ["/307", { method: "POST", body: "kept" }],
    ["/302", { redirect: "manual" }],
    ["/204"],
    ["/gzip"],
    ["/empty-gzip"],
    ["/empty-br"],
    ["/cookies"],
    ["/mirror", { method: "HEAD" }],
  ];
  const KEPT = ["method", "url", "body", "content-type", "content-length", "a"];
  for (const [path, init] of cases) {
    const seen = async (response: Awaited<ReturnType<typeof ours>> | undici.Response): Promise<unknown> => {
      const { ok, status, redirected, url, bodyUsed } = response;
      const read = await response.text();
      const json = read.startsWith("{") ? (JSON.parse(read) as Mirrored) : undefined;
      const flat: Record<string, unknown> = { ...json, ...json?.headers };
      return {
        ok,
        status,
        redirected,
        url,
        bodyUsed,
        used: read === "" || response.bodyUsed,
        cookies: response.headers.getSetCookie(),
        body: json === undefined ? read : KEPT.map((key) => flat[key]),
      };
    };
    t.same(
      await seen(await ours(path, init)),
      await seen(await undici.fetch(server.url + path, init)),
      `${path} ${JSON.stringify(init)}`,
    );
  }
  t.match(await failure(ours("/loop")), { code: "HTTP_REDIRECT_REFUSED" });
  t.match(await failure(ours("/302", { redirect: "error" })), { code: "HTTP_REDIRECT_REFUSED" });
  t.match(await failure(ours("/307", { method: "POST", body: new Blob(["once"]).stream(), duplex: "half" })), {
    code: "HTTP_REDIRECT_REFUSED",
  });
  t.match(await failure(ours("http://127.0.0.1:1/")), {
    name: "TypeError",
    message: "fetch failed",
    cause: { code: "ECONNREFUSED" },
  });
});

t.test("a fetched response has everything that a Response has", async (t) => {
  await using server = await serve((_request, response) =>
    response.writeHead(200, { "content-type": "application/json" }).end('{"a":1}'),
  );
  await using http = await started({ baseUrl: server.url });
  const get = (): ReturnType<HttpFetch> => fetchOver(http.client)("/");
  const first = await get();
  for (const name of Object.getOwnPropertyNames(undici.Response.prototype)) t.ok(name in first, name);
  t.notOk(first instanceof undici.Response, "but it is none");
  const copy = first.clone();
  t.same([await first.json(), await copy.json()], [{ a: 1 }, { a: 1 }]);
  t.equal((await (await get()).arrayBuffer()).byteLength, 7);
  t.equal((await (await get()).bytes()).length, 7);
  t.match(await (await get()).blob(), { size: 7, type: "application/json" });
  const streamed: unknown[] = [];
  for await (const chunk of (await get()).body ?? []) streamed.push(...chunk);
  t.equal(streamed.length, 7);
  const twice = await get();
  await twice.text();
  t.match(await failure(twice.text()), { name: "TypeError" });
  const asPlatform: (url: string) => Promise<Pick<Response, "ok" | "status" | "json" | "text">> = fetchOver(
    http.client,
  );
  t.ok(asPlatform);
});

t.test("a redirect to another origin loses credentials, one to the same keeps them", async (t) => {
  await using other = await serve((request, response) => void mirror(request, response));
  await using server = await serve((request, response) => {
    if (request.url === "/away") return response.writeHead(302, { location: other.url }).end();
    if (request.url === "/here") return response.writeHead(302, { location: "/mirror" }).end();
    return mirror(request, response);
  });
  await using http = await started({ baseUrl: server.url });
  const headers = { authorization: "Bearer x", cookie: "a=1", "x-kept": "1" };
  t.match(await (await fetchOver(http.client)("/here", { headers })).json(), { headers });
  const away = (await (await fetchOver(http.client)("/away", { headers })).json()) as Mirrored;
  t.match(away.headers, { "x-kept": "1" });
  t.notHas(away.headers, { authorization: "Bearer x" });
  t.notHas(away.headers, { cookie: "a=1" });
});

t.test("fetch takes a Request, and a form as its body", async (t) => {
  await using server = await serve((request, response) => void mirror(request, response));
  await using http = await started({ baseUrl: server.url });
  const request = new undici.Request(`${server.url}/asked`, {
    method: "PUT",
    headers: { a: "1" },
    body: "from the request",
  });
  t.match(await (await fetchOver(http.client)(request)).json(), {
    method: "PUT",
    url: "/asked",
    headers: { a: "1" },
    body: "from the request",
  });
  const form = new undici.FormData();
  form.set("field", "value");
  const posted = (await (await fetchOver(http.client)("/form", { method: "POST", body: form })).json()) as Mirrored;
  t.match(posted.headers["content-type"], /^multipart\/form-data; boundary=/);
  t.match(posted.body, /name="field"\r\n\r\nvalue\r\n/);
});

t.test("fetch takes the Request and the form of the platform, too", async (t) => {
  await using server = await serve((request, response) => void mirror(request, response));
  await using http = await started({ baseUrl: server.url });
  const ours = fetchOver(http.client) as unknown as typeof fetch; // as a library has it that knows the platform's only
  const aborting = new AbortController();
  const init = { method: "PUT", headers: { a: "1" }, body: "asked", signal: aborting.signal };
  const asked = await ours(new Request(`${server.url}/asked`, init));
  t.match(await asked.json(), { method: "PUT", url: "/asked", headers: { a: "1" }, body: "asked" });
  const { headers } = (await (await ours(new Request(server.url), { headers: { b: "2" } })).json()) as Mirrored;
  t.match(headers, { b: "2" });
  const form = new FormData();
  form.append("field", "value");
  form.append("file", new File(["bytes"], "a.txt", { type: "text/x" }));
  const posted = (await (await ours("/form", { method: "POST", body: form })).json()) as Mirrored;
  t.match(posted.headers["content-type"], /^multipart\/form-data; boundary=/);
  t.match(posted.body, /name="field"\r\n\r\nvalue\r\n/);
  t.match(posted.body, /name="file"; filename="a.txt"\r\nContent-Type: text\/x\r\n\r\nbytes\r\n/);
  aborting.abort(new Error("changed my mind"));
  t.match(await failure(ours(new Request(server.url, init))), { message: "changed my mind" });
  const once = new Request(server.url, { method: "POST", body: "sent once" });
  t.match(await (await ours(once)).json(), { body: "sent once" });
  t.match(await failure(ours(once)), { message: "fetch failed", cause: { message: /used/ } });
  const again = await ours(once, { method: "POST", body: "another" });
  t.match(await again.json(), { body: "another" }, "a body of the call's own stands in for it");
  for (const none of [5, {}, null, undefined])
    t.match(await failure(ours(none as never)), { message: "fetch failed", cause: { code: "HTTP_URL_INVALID" } });
});

t.test("a response says where it came from, its copy too, whatever its status", async (t) => {
  await using server = await serve((_request, response) => response.writeHead(999).end("x"));
  await using http = await started({ baseUrl: server.url });
  const response = await fetchOver(http.client)("/a?b#c");
  const copy = response.clone();
  for (const one of [response, copy]) {
    const { url, status, ok, redirected } = one;
    t.same({ url, status, ok, redirected }, { url: `${server.url}/a?b`, status: 999, ok: false, redirected: false });
    t.equal(await (await one.blob()).text(), "x");
  }
});

t.test("a fetch that is aborted while its body is read ends with the reason", async (t) => {
  await using server = await serve((_request, response) => void response.write("some"));
  await using http = await started({ baseUrl: server.url });
  const reason = new Error("changed my mind");
  const aborting = new AbortController();
  const response = await fetchOver(http.client)("/", { signal: aborting.signal });
  const read = failure(response.text());
  aborting.abort(reason);
  t.equal(await read, reason);
  t.match(http.stats(), { inUse: 0 });
});

t.test("one deadline covers all hops of a fetch", async (t) => {
  await using server = await serve((_request, response) => {
    setTimeout(() => response.writeHead(302, { location: "/again" }).end(), 60);
  });
  await using http = await started({ baseUrl: server.url });
  t.match(await failure(fetchOver(http.client)("/", { timeoutMs: 200 })), { cause: { code: "DEADLINE_EXCEEDED" } });
  t.ok(server.seen.length <= 5, `${server.seen.length} hops`);
  server.seen.length = 0;
  await using short = await started({ baseUrl: server.url, timeoutMs: 200 });
  t.match(await failure(fetchOver(short.client)("/")), { cause: { code: "DEADLINE_EXCEEDED" } });
  t.ok(server.seen.length <= 5, `${server.seen.length} hops by the session's own deadline`);
});

t.test("the body of a redirect holds up no fetch, though it has no end", async (t) => {
  await using server = await serve((request, response) => {
    if (request.url === "/end") response.end("end");
    else response.writeHead(302, { location: "/end" }).write("moved");
  });
  await using http = await started({ baseUrl: server.url, maxConnections: 1, timeoutMs: 2_000 });
  for (const streaming of [false, true])
    t.equal(await (await fetchOver(http.client)("/", { streaming })).text(), "end");
  t.match(http.stats(), { inUse: 0, timedOut: 0 });
  const refused = fetchOver(http.client)("/", { redirect: "error", streaming: true });
  t.match(await failure(refused), { code: "HTTP_REDIRECT_REFUSED" });
});

t.test("a small body does not become a large one: what is decoded is bounded too", async (t) => {
  const bomb = gzipSync(gzipSync(Buffer.alloc(50_000_000)));
  await using server = await serve((_request, response) =>
    response.writeHead(200, { "content-encoding": "gzip, gzip" }).end(bomb),
  );
  await using http = await started({ baseUrl: server.url, maxResponseBytes: 1_000_000 });
  t.ok(bomb.length < 1_000_000);
  for (const read of ["text", "arrayBuffer", "json"] as const) {
    const response = await fetchOver(http.client)("/");
    t.match(await failure(response[read]()), { code: "HTTP_RESPONSE_TOO_LARGE", message: /once decoded/ });
  }
});

t.test("a user or password in a URL is refused, not dropped, and stays in no text", async (t) => {
  await using server = await serve(({ url = "" }, response) => {
    const { host } = new URL(server.url);
    if (url === "/away") response.writeHead(302, { location: `http://ann:hush@${host}/` });
    response.end("ok");
  });
  await using http = await started({ baseUrl: server.url });
  const url = server.url.replace("://", "://ann:hush@");
  for (const target of [url, new URL(url)]) {
    const refused = await failure(http.client.request(target));
    t.match(refused, { code: "HTTP_URL_INVALID", message: /user or password/ });
    t.match(await failure(fetchOver(http.client)(target)), { cause: { code: "HTTP_URL_INVALID" } });
    t.notMatch(inspect(refused, { depth: 9, showHidden: true }), /hush/);
  }
  t.same(server.seen, []);
  const response = await fetchOver(http.client)("/away");
  t.notMatch(`${response.url} ${await response.text()}`, /hush/);
});
