import dns from "node:dns";
import { createServer as createHttp } from "node:http";
import { createSecureServer } from "node:http2";
import { createServer as createHttps, type ServerOptions } from "node:https";
import { syncBuiltinESMExports } from "node:module";
import { connect, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { failure, FakeClock, testCertificates, trackHandles } from "@steward/testing";
import t from "tap";
import { fetchOver } from "../../src/fetch/index.ts";
import { HttpSessionManager } from "../../src/index.ts";
import { listening, serve, started, type TestServer } from "../servers.ts";

const { authority, clientCert, clientKey, serverCert, serverKey } = testCertificates;

const handles = trackHandles();
t.teardown(() => handles.assertNoLeaks());

function secure(options: ServerOptions = {}): Promise<TestServer> {
  const server = createHttps({ cert: serverCert, key: serverKey, ...options }, (request, response) => {
    const { subject } = (request.socket as TLSSocket).getPeerCertificate();
    response.end(`hello ${subject?.CN ?? "stranger"}`);
  });
  return listening(server, "https", []);
}

/** A proxy for CONNECT, that wants credentials where some are given. */
async function tunnelling(credentials?: string): Promise<TestServer> {
  const seen: string[] = [];
  const server = createHttp();
  server.on("connect", (request, socket: Socket) => {
    seen.push(`CONNECT ${request.url}`);
    socket.on("error", () => {});
    const wanted = credentials === undefined ? undefined : `Basic ${Buffer.from(credentials).toString("base64")}`;
    if (request.headers["proxy-authorization"] !== wanted)
      return void socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    const [host, port] = (request.url ?? "").split(":");
    const upstream = connect(Number(port), host ?? "", () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on("error", () => socket.destroy());
    socket.on("close", () => upstream.destroy());
  });
  return listening(server, "http", seen);
}

t.test("a server is trusted for its authority, or not at all", async (t) => {
  await using server = await secure();
  await using trusting = await started({ baseUrl: server.url, tls: { ca: authority } });
  t.equal(await (await trusting.client.request("/")).body.text(), "hello stranger");
  await using strict = await started({ baseUrl: server.url, retry: false });
  t.match(await failure(strict.client.request("/")), { code: /CERT|SELF_SIGNED|UNABLE_TO_VERIFY/ });
  await using lax = await started({ baseUrl: server.url, tls: { rejectUnauthorized: false } });
  t.equal((await lax.client.request("/")).statusCode, 200);
});

t.test("mutual TLS shows our certificate, also one that is loaded at start and renew", async (t) => {
  await using server = await secure({ ca: authority, requestCert: true, rejectUnauthorized: true });
  await using known = await started({
    baseUrl: server.url,
    tls: { ca: [authority], cert: clientCert, key: Buffer.from(clientKey) },
  });
  t.equal(await (await known.client.request("/")).body.text(), "hello test client");
  let loads = 0;
  let tls: object = { ca: authority };
  await using loading = await started({ baseUrl: server.url, retry: false, tls: async () => (loads++, tls) });
  await failure(loading.client.request("/").then(({ body }) => body.text()));
  tls = { ca: authority, cert: clientCert, key: clientKey };
  await loading.renew();
  t.equal(await (await loading.client.request("/")).body.text(), "hello test client");
  t.equal(loads, 2);
  tls = { ca: authority, cert: clientCert };
  t.match(await failure(loading.renew()), { code: "OPTIONS_INVALID", message: /cert and key need each other/ });
});

t.test("HTTP/2 is spoken when asked for and offered: many calls share a connection", async (t) => {
  const server = createSecureServer({ cert: serverCert, key: serverKey, allowHTTP1: true }, (request, response) => {
    setTimeout(() => response.end(request.httpVersion), 20);
  });
  await using offering = await listening(server, "https", []);
  const versions = async (http2: boolean): Promise<string[]> => {
    await using http = await started({ baseUrl: offering.url, http2, maxConnections: 2, tls: { ca: authority } });
    return Promise.all(Array.from({ length: 20 }, async () => (await http.client.request("/")).body.text()));
  };
  t.same(new Set(await versions(true)), new Set(["2.0"]));
  t.equal(offering.connections(), 1);
  t.same(new Set(await versions(false)), new Set(["1.1"]));
  t.equal(offering.connections(), 3);
  await using plain = await secure();
  await using http = await started({ baseUrl: plain.url, http2: true, maxConnections: 2, tls: { ca: authority } });
  const answers = await Promise.all(
    Array.from({ length: 10 }, async () => (await http.client.request("/")).body.text()),
  );
  t.same(new Set(answers), new Set(["hello stranger"]), "without an offer it is HTTP/1.1");
});

t.test("a connection of HTTP/2 that nobody uses is closed after idleConnectionTimeoutMs", async (t) => {
  const server = createSecureServer({ cert: serverCert, key: serverKey }, (_request, response) => response.end("x"));
  await using offering = await listening(server, "https", []);
  const clock = new FakeClock();
  const options = { baseUrl: offering.url, http2: true, idleConnectionTimeoutMs: 1_000, tls: { ca: authority } };
  await using http = await new HttpSessionManager(options, { clock }).start();
  const get = async (): Promise<string> => (await http.client.request("/")).body.text();
  await get();
  await clock.advance(900);
  await get();
  await clock.advance(900);
  t.match(http.stats(), { size: 1, idle: 1 });
  t.equal(offering.connections(), 1);
  await clock.advance(100);
  t.match(http.stats(), { size: 0, idle: 0 });
  t.equal(await get(), "x");
  t.equal(offering.connections(), 2);
});

t.test("a proxy carries plain and secure calls, with credentials, and is bypassed where that is said", async (t) => {
  await using plain = await serve((_request, response) => response.end("plain"));
  await using tls = await secure();
  await using proxy = await tunnelling("user:word");
  const options = { tls: { ca: authority }, retry: false } as const;
  await using http = await started({
    ...options,
    proxy: { url: proxy.url, username: "user", password: async () => "word" },
  });
  t.equal(await (await http.client.request(plain.url)).body.text(), "plain");
  t.equal(await (await http.client.request(tls.url)).body.text(), "hello stranger");
  t.same(proxy.seen, [`CONNECT 127.0.0.1:${plain.port}`, `CONNECT localhost:${tls.port}`]);
  await using bypassing = await started({ ...options, proxy: { url: proxy.url, bypass: ["127.0.0.1"] } });
  t.equal(await (await bypassing.client.request(plain.url)).body.text(), "plain");
  t.equal(proxy.seen.length, 2);
  t.match(await failure(bypassing.client.request(tls.url)), { code: "HTTP_PROXY_REFUSED", message: /status 407/ });
  t.match(await failure(bypassing.client.request("http://[::1]:8080/")), { code: "HTTP_PROXY_REFUSED" });
  t.equal(proxy.seen.at(-1), "CONNECT [::1]:8080");
  await using gone = await started({ ...options, proxy: { url: "http://127.0.0.1:1" } });
  t.match(await failure(gone.client.request(plain.url)), { code: "HTTP_PROXY_REFUSED", message: /ECONNREFUSED/ });
});

t.test(
  "a refused certificate and a proxy that opens no tunnel are no connection: circuit and health say so",
  async (t) => {
    await using tls = await secure();
    await using proxy = await tunnelling("user:word");
    const options = { retry: false, breaker: { consecutiveFailures: 3, breakDurationMs: 60_000 } } as const;
    await using strict = await started({ ...options, baseUrl: tls.url });
    await using outside = await started({ ...options, baseUrl: tls.url, proxy: { url: proxy.url } });
    for (const http of [strict, outside]) {
      for (let i = 0; i < 3; i++)
        t.match(await failure(http.client.request("/")), { code: /UNABLE_TO_VERIFY|SELF_SIGNED|HTTP_PROXY_REFUSED/ });
      t.match(await failure(http.client.request("/")), { code: "CIRCUIT_OPEN" });
      t.match(http.passive, { failingRatio: 1 });
      t.match(await failure(http.probe()), { code: "HTTP_PROBE_FAILED", message: /certificate|status 407/ });
    }
    await using careful = await started({ ...options, privateAddresses: "refuse" });
    for (let i = 0; i < 5; i++)
      t.match(await failure(careful.client.request(tls.url)), { code: "HTTP_ADDRESS_REFUSED" });
    t.match(careful.passive, { failingRatio: 0 }, "what we refuse ourselves says nothing");
  },
);

t.test("private addresses are refused whatever leads there: address, name or redirect", async (t) => {
  await using server = await serve((_request, response) => response.end("secret"));
  const { port } = server;
  await using http = await started({ privateAddresses: "refuse", retry: false });
  for (const host of [
    "127.0.0.1",
    "localhost",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
  ])
    t.match(await failure(http.client.request(`http://${host}:${port}/`)), { code: "HTTP_ADDRESS_REFUSED" }, host);
  t.equal(server.connections(), 0);
  await using redirecting = await serve((_request, response) =>
    response.writeHead(302, { location: `http://127.0.0.2:${port}/` }).end(),
  );
  await using excepting = await started({ privateAddresses: "refuse", allowedAddresses: ["127.0.0.1"], retry: false });
  t.equal(await (await excepting.client.request(server.url)).body.text(), "secret");
  t.match(await failure(fetchOver(excepting.client)(redirecting.url)), { cause: { code: "HTTP_ADDRESS_REFUSED" } });
  t.same(redirecting.seen, ["GET /"]);
});

t.test(
  "a name that leads elsewhere a moment later gains nothing: it is looked up once for each connection",
  async (t) => {
    await using server = await serve((_request, response) => response.end("x"));
    const answers = ["127.0.0.1", "169.254.169.254"];
    const { lookup } = dns;
    t.teardown(() => {
      dns.lookup = lookup;
      syncBuiltinESMExports();
    });
    let asked = 0;
    dns.lookup = ((_host: string, _options: object, done: (error: null, found: dns.LookupAddress[]) => void) =>
      done(null, [{ address: answers[asked++] ?? "", family: 4 }])) as typeof lookup; // the one form that we use
    syncBuiltinESMExports();
    await using http = await started({ privateAddresses: "refuse", allowedAddresses: ["127.0.0.1"], retry: false });
    const url = `http://rebinding.example:${server.port}/`;
    t.equal(await (await http.client.request(url)).body.text(), "x");
    t.equal(await (await http.client.request(url)).body.text(), "x");
    t.equal(asked, 1);
    await http.renew();
    t.match(await failure(http.client.request(url)), {
      code: "HTTP_ADDRESS_REFUSED",
      message: /rebinding\.example is 169\.254\.169\.254, which is not a public address/,
    });
  },
);

t.test("a name that leads to several addresses is refused for any of them that is private", async (t) => {
  const { AddressRules } = await import("../../src/connections/addresses.ts");
  const rules = new AddressRules("http", []);
  const outcome = await new Promise((resolve) => rules.lookup("localhost", { all: true }, (error) => resolve(error)));
  t.match(outcome, { code: "HTTP_ADDRESS_REFUSED", message: /localhost is/ });
  const excepting = new AddressRules("http", ["127.0.0.0/8", "::1"]);
  const one = await new Promise((resolve) =>
    excepting.lookup("localhost", { all: false, family: 4 } as never, (error, address, family) =>
      resolve({ error, address, family }),
    ),
  );
  t.match(one, { error: null, address: "127.0.0.1", family: 4 });
});
