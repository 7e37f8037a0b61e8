import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { inspect } from "node:util";
import { Alarm, failure, machineAddress, testCertificates } from "@steward/testing";
import t from "tap";
import * as undici from "undici";
import { fetchOver } from "../src/fetch/index.ts";
import { HttpSessionManager, type HttpSessionOptions } from "../src/index.ts";
import { serve, started, type TestServer } from "./servers.ts";

const SECRET = "Bearer S3CR3T";
const MACHINE = machineAddress() ?? "127.0.0.1";
const { authority, serverCert: cert, serverKey: key } = testCertificates;

/** A server on all addresses of this machine that notes what authorization it was sent. */
async function listener(test: Pick<typeof t, "teardown">, tls: boolean): Promise<{ port: number; got: string[] }> {
  const got: string[] = [];
  const server = tls ? createTlsServer({ cert, key }) : createServer();
  server.on("request", (request, response) => {
    if (request.headers.authorization !== undefined) got.push(request.headers.authorization);
    response.end("ok");
  });
  await new Promise<void>((resolve) => server.listen(0, () => resolve()));
  test.teardown(() => void server.close().closeAllConnections());
  return { port: (server.address() as { port: number }).port, got };
}

/** What becomes of `authorization`, by the transport. The README has it as a table. */
const TABLE: readonly (readonly [
  scheme: "http" | "https",
  host: string,
  HttpSessionOptions,
  outcome: RegExp | "sent",
])[] = [
  ["http", "127.0.0.1", {}, "sent"],
  ["http", "localhost", {}, "sent"],
  ["http", MACHINE, {}, /authorization: would go to baseUrl in plain text: .*https:.*plaintext: true/],
  ["http", MACHINE, { plaintext: true }, "sent"],
  ["https", "127.0.0.1", {}, /self-signed|unable to (get|verify)/],
  ["https", MACHINE, {}, /self-signed|unable to (get|verify)/],
  ["https", "127.0.0.1", { tls: { ca: authority } }, "sent"],
  ["https", "localhost", { tls: { ca: authority } }, "sent"],
  ["https", MACHINE, { tls: { ca: authority } }, /altnames/],
  ["https", MACHINE, { tls: { rejectUnauthorized: false } }, "sent"],
];

for (const [scheme, host, options, outcome] of TABLE)
  t.test(
    `authorization for ${scheme}://${host} ${Object.keys({ ...options, ...(options.tls as object) }).join()}`,
    async (t) => {
      const { port, got } = await listener(t, scheme === "https");
      const baseUrl = `${scheme}://${host}:${port}`;
      const ask = async (): Promise<unknown> => {
        await using http = await started({ baseUrl, authorization: SECRET, retry: false, ...options });
        return await (await http.client.request("/")).body.text();
      };
      const result = await ask().catch((error: unknown) => error);
      if (outcome === "sent") t.equal(result, "ok");
      else t.match((result as Error).message, outcome);
      t.same(got, outcome === "sent" ? [SECRET] : []);
      t.notMatch(inspect(result, { depth: 20, showHidden: true }), /S3CR3T/);
    },
  );

t.test("a header of a call is no way round, whoever makes the call; what needs no credentials goes on", async (t) => {
  const { port, got } = await listener(t, false);
  const url = `http://${MACHINE}:${port}/`;
  await using http = await started({});
  const refused = { code: "HTTP_PLAINTEXT_REFUSED", message: /authorization would go to .* in plain text/ };
  const headers = { Authorization: SECRET };
  t.match(await failure(http.client.request(url, { headers })), refused);
  t.match(await failure(http.client.request(url, { headers: ["authorization", SECRET] })), refused);
  t.match((await failure(fetchOver(http.client)(url, { headers }))).cause, refused);
  t.match(await failure(undici.request(url, { headers, dispatcher: http.client })), refused);
  t.match((await failure(undici.fetch(url, { headers, dispatcher: http.client }))).cause, refused);
  t.same(got, []);
  t.equal(await (await http.client.request(url)).body.text(), "ok");
  t.equal(await (await http.client.request(`http://127.0.0.1:${port}/`, { headers })).body.text(), "ok");
  await using allowed = await started({ plaintext: true });
  t.equal(await (await allowed.client.request(url, { headers })).body.text(), "ok");
});

t.test("a redirect to plain HTTP, or to another origin, takes no credentials along", async (t) => {
  const plain = await listener(t, false);
  const seen: (string | undefined)[] = [];
  const server = createTlsServer({ cert, key }, (request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(307, { location: `http://${MACHINE}:${plain.port}/` }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, () => resolve()));
  t.teardown(() => void server.close().closeAllConnections());
  const { port } = server.address() as { port: number };
  await using http = await started({
    baseUrl: `https://localhost:${port}`,
    authorization: SECRET,
    tls: { ca: authority },
  });
  for (const init of [{}, { headers: { authorization: SECRET } }]) {
    const answer = await fetchOver(http.client)("/", init);
    t.equal(await answer.text(), "ok");
  }
  t.same(seen, [SECRET, SECRET]);
  t.same(plain.got, []);
});

t.test("a password for a proxy does not travel in plain text either", (t) => {
  const proxy = { url: `http://${MACHINE}:3128`, username: "u", password: "S3CR3T" };
  t.throws(() => new HttpSessionManager({ proxy }), { message: /proxy: would be sent its password in plain text/ });
  t.ok(new HttpSessionManager({ proxy, plaintext: true }));
  t.ok(new HttpSessionManager({ proxy: { ...proxy, url: "http://127.0.0.1:3128" } }));
  t.ok(new HttpSessionManager({ proxy: { ...proxy, url: `https://${MACHINE}:3128` } }));
  t.ok(new HttpSessionManager({ proxy: { url: proxy.url } }), "nothing is sent");
  t.end();
});

t.test("a URL that is wrong stands in no error, with the password in it", async (t) => {
  const wrong = "http://u:S3CR3T@h:notaport/";
  await using whole = await started({});
  await using based = await started({ baseUrl: "http://127.0.0.1:1" });
  const server: TestServer = await serve((_request, response) => response.writeHead(302, { location: wrong }).end());
  t.teardown(() => server[Symbol.asyncDispose]());
  const errors = [
    await failure(whole.client.request(wrong)),
    await failure(based.client.request(wrong)),
    await failure(whole.client.request("//u:S3CR3T@h/x")),
    await failure(whole.client.request({ origin: wrong, path: "/", method: "GET" })),
    await failure(fetchOver(whole.client)(wrong)),
    await failure(fetchOver(based.client)(wrong)),
    await failure(fetchOver(whole.client)(server.url)),
  ];
  const codes = errors.map((error) => (error as { code?: string }).code ?? (error.cause as { code?: string }).code);
  t.same(codes, [...Array(6).fill("HTTP_URL_INVALID"), "HTTP_REDIRECT_REFUSED"]);
  t.notMatch(inspect(errors, { depth: 20, showHidden: true }), /S3CR3T/);
  for (const options of [{ baseUrl: wrong }, { proxy: { url: wrong } }, { probeUrl: wrong }]) {
    const made = await failure((async () => new HttpSessionManager(options))());
    t.match(made, { code: "OPTIONS_INVALID" });
    t.notMatch(inspect(made, { depth: 20, showHidden: true }), /S3CR3T/);
  }
});

t.test("an answer that says that it is too large is refused before it is read", async (t) => {
  await using server = await serve((request, response) => {
    response.setHeader("content-length", request.url === "/fits" ? 10 : 999_999_999);
    if (request.method === "HEAD") response.end();
    else response.write("1234567890");
  });
  await using http = await started({ baseUrl: server.url, maxResponseBytes: 10, timeoutMs: 5_000 });
  using alarm = new Alarm(2_500);
  t.match(await failure(http.client.request("/")), {
    code: "HTTP_RESPONSE_TOO_LARGE",
    message: /at least 999999999 bytes, 10 are allowed/,
  });
  t.notOk(alarm.hasRung, "at once");
  t.equal((await http.client.request("/", { method: "HEAD" })).statusCode, 200, "a HEAD has no body");
  t.equal(await (await http.client.request("/fits")).body.text(), "1234567890");
});

t.test(
  "a call's own headersTimeout bounds the call until it has headers, retries included, and no longer",
  async (t) => {
    await using server = await serve((request, response) => {
      if (request.url === "/slow") return;
      response.writeHead(200).write("a");
      setTimeout(() => response.end("b"), 600);
    });
    await using http = await started({
      baseUrl: server.url,
      retry: { maxAttempts: 3, baseDelayMs: 1 },
      timeoutMs: 8_000,
    });
    using alarm = new Alarm(1_000);
    const since = performance.now();
    t.match(await failure(http.client.request("/slow", { headersTimeout: 300 })), { code: "DEADLINE_EXCEEDED" });
    t.ok(performance.now() - since >= 290);
    t.notOk(alarm.hasRung);
    t.equal(
      await (await http.client.request("/", { headersTimeout: 300 })).body.text(),
      "ab",
      "the body has its own time",
    );
    t.match(await failure((await http.client.request("/", { headersTimeout: 300, timeoutMs: 400 })).body.text()), {
      code: "DEADLINE_EXCEEDED",
    });
  },
);

const HEADERS = /headers: must be an object, a list, or an iterable of pairs/;

t.test("options of a call that are unknown or of a wrong type are refused before anything is sent", async (t) => {
  await using server = await serve((_request, response) => response.end("ok"));
  await using http = await started({ baseUrl: server.url });
  const { client } = http;
  const wrong: readonly (readonly [object, RegExp])[] = [
    [{ timeout: 5 }, /timeout: .*did you mean "timeoutMs"/],
    [{ timeoutMs: "5" }, /timeoutMs: expected number, received a string/],
    [{ timeoutMs: Number.NaN }, /timeoutMs: expected number/],
    [{ streaming: 1 }, /streaming: expected boolean/],
    [{ headersTimeoutMs: 5 }, /did you mean "headersTimeout"/],
    [{ signal: 7 }, /signal: must be an AbortSignal/],
    [{ idempotent: "yes" }, /idempotent: expected boolean/],
    ...["x-a: S3CR3T", 5, true, Symbol("S3CR3T"), () => "S3CR3T"].map((headers) => [{ headers }, HEADERS] as const),
    ...[["S3CR3T"], [["x-a", "S3CR3T", "x"]], [[]]].map(
      (entries) => [{ headers: new Set<unknown>(entries) }, HEADERS] as const,
    ),
  ];
  const sink = (): never => t.fail("it was sent") as never;
  for (const [options, message] of wrong) {
    const expected = { code: "OPTIONS_INVALID", message };
    t.match(await failure(client.request("/", options)), expected);
    t.match(await failure(client.request({ path: "/", method: "GET", ...options })), expected);
    t.match(await failure((async () => client.stream({ path: "/", method: "GET", ...options }, sink))()), expected);
    t.notMatch(inspect(await failure(client.request("/", options)), { depth: 20, showHidden: true }), /S3CR3T/);
  }
  for (const headers of ["x-a: S3CR3T", 5, new Set(["S3CR3T"])]) {
    const expected = { code: "OPTIONS_INVALID", message: HEADERS };
    const given = { path: "/", method: "GET", headers } as unknown as undici.Dispatcher.DispatchOptions;
    const errors = [
      await failure(fetchOver(client)("/", { headers } as never)),
      await failure((async () => client.pipeline({ ...given, path: "/" }, sink))()),
      await new Promise((resolve) => client.dispatch(given, { onConnect() {}, onError: resolve })),
    ];
    for (const error of errors) {
      t.match(error, expected);
      t.notMatch(inspect(error, { depth: 20, showHidden: true }), /S3CR3T/);
    }
  }
  t.match(await failure(fetchOver(client)("/", { timeout: 5 } as never)), {
    code: "OPTIONS_INVALID",
    message: /timeoutMs/,
  });
  t.match(await failure(fetchOver(client)("/", { redirect: "no" } as never)), { code: "OPTIONS_INVALID" });
  t.same(server.seen, []);
  const init = { mode: "cors", credentials: "omit", cache: "no-store", keepalive: true, referrer: "" } as object;
  t.equal(await (await fetchOver(client)("/", init)).text(), "ok", "what means something in a browser only is taken");
  t.equal(await (await client.request("/", { signal: null, headersTimeout: 0, reset: true })).body.text(), "ok");
});

t.test("interceptors are no way round: what they take is named, and what they say of a call is checked", async (t) => {
  await using server = await serve((_request, response) => response.end("ok"));
  type Dispatch = undici.Dispatcher.Dispatch;
  const through =
    (dispatch: Dispatch): Dispatch =>
    (options, handler) =>
      dispatch(options, handler);
  const wrongly =
    (dispatch: Dispatch): Dispatch =>
    (options, handler) =>
      dispatch({ ...options, ...(options.path === "/wrong" ? { timeoutMs: "soon" } : {}) }, handler);
  await using http = await started({
    baseUrl: server.url,
    interceptors: [through, wrongly],
    interceptorOptions: ["tenant"],
  });
  const unknown = { code: "OPTIONS_INVALID", message: /timeout: .*did you mean "timeoutMs"/ };
  const wrong = { code: "OPTIONS_INVALID", message: /timeoutMs: expected number/ };
  for (const client of [http.client, http.client.compose(through)] as undici.Dispatcher[]) {
    const ask = async (options: object): Promise<unknown> =>
      client.request({ path: "/", method: "GET", ...options } as undici.Dispatcher.RequestOptions);
    t.match(await failure(ask({ timeout: 5 })), unknown);
    t.match(await failure(ask({ timeoutMs: "5" })), wrong);
    t.match(await failure(ask({ path: "/wrong" })), wrong);
  }
  t.match(await failure(undici.request(server.url, { dispatcher: http.client, timeoutMs: "5" } as object)), wrong);
  t.same(server.seen, []);
  for (const client of [http.client, http.client.compose(through)] as undici.Dispatcher[]) {
    const options = { path: "/", method: "GET", tenant: 1 } as undici.Dispatcher.RequestOptions;
    t.equal(await (await client.request(options)).body.text(), "ok");
  }
});

t.test("an answer without an end, that says to come back, does not hold the call until its deadline", async (t) => {
  let asked = 0;
  await using server = await serve((_request, response) => {
    if (++asked > 1) return void response.end("ok");
    const flood = (): void => {
      while (!response.destroyed && response.write("x".repeat(65_536)));
      if (!response.destroyed) response.once("drain", flood);
    };
    response.writeHead(503);
    flood();
  });
  await using http = await started({
    baseUrl: server.url,
    retry: { maxAttempts: 2, baseDelayMs: 1 },
    timeoutMs: 20_000,
  });
  const since = performance.now();
  t.equal(await (await http.client.request("/")).body.text(), "ok");
  t.ok(performance.now() - since < 15_000, "of 20 s");
  t.match(http.stats(), { succeeded: 1, retried: 1, inUse: 0 });
});
