import t, { type Test } from "tap";
import { WebSocketSessionManager, type WebSocketSessionOptions } from "../src/index.ts";
import { hubFor, plainFor, sessionsFor } from "./setup.ts";

const authorization = "Bearer s3cr3t";

/** Not a loopback address by its text, yet it never leads off this machine. */
const elsewhere = (url: string): string => url.replace("127.0.0.1", "0.0.0.0");

/** A server that writes down the credentials of each handshake. */
async function recorder(t: Test): Promise<{ url: string; seen: (string | undefined)[] }> {
  const seen: (string | undefined)[] = [];
  const { url, wss } = await plainFor(t, () => {});
  wss.on("headers", (_, request) => seen.push(request.headers.authorization));
  return { url, seen };
}

t.test(
  "credentials that are known from the start and would go elsewhere in plain text are wrong options",
  async (t) => {
    const wrong: readonly WebSocketSessionOptions[] = [
      { url: "ws://server.invalid", headers: { Authorization: authorization } },
      { url: "ws://[::ffff:192.0.2.77]", headers: { "proxy-authorization": authorization } },
      { url: ["wss://a.invalid", "ws://ada:s3cr3t@server.invalid"] },
    ];
    for (const options of wrong)
      t.throws(() => new WebSocketSessionManager(options), { code: "OPTIONS_INVALID", message: /plaintext: true/ });
    t.ok(new WebSocketSessionManager({ url: "wss://ada:s3cr3t@a.invalid", headers: { authorization } }));
  },
);

t.test("headers of a function are refused before they are sent, and go where that is allowed", async (t) => {
  const { url, seen } = await recorder(t);
  const headers = async (): Promise<Record<string, string>> => ({ AUTHORIZATION: authorization });
  const manager = new WebSocketSessionManager({ url: elsewhere(url), headers });
  t.teardown(() => manager.stop());
  await t.rejects(manager.start(), { code: "WEBSOCKET_PLAINTEXT_REFUSED", message: /^(?!.*s3cr3t)/s });
  t.same(seen, [], "nothing was sent");
  await sessionsFor(t, { url: elsewhere(url), headers, plaintext: true });
  await sessionsFor(t, { url, headers });
  t.same(seen, [authorization, authorization], "where it is allowed, and on this machine");
});

t.test("a named session follows the same rule, and the main one goes on", async (t) => {
  const hub = await hubFor(t);
  const { url, seen } = await recorder(t);
  const { client } = await sessionsFor(t, { url: hub.url });
  const named = client.session("headers", { url: elsewhere(url), headers: { authorization } });
  await t.rejects(named.ready(), { code: "WEBSOCKET_PLAINTEXT_REFUSED" });
  const inUrl = client.session("url", { url: elsewhere(url).replace("ws://", "ws://ada:s3cr3t@") });
  await t.rejects(inUrl.ready(), { code: "WEBSOCKET_PLAINTEXT_REFUSED" });
  t.same(seen, []);
  t.ok(client.socket);
});
