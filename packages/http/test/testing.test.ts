import { fetchOver } from "../src/fetch/index.ts";
import { httpSession } from "../src/index.ts";
import { container } from "@steward/container";
import { resource } from "@steward/core";
import { specOf } from "@steward/core/container";
import t from "tap";
import { failure } from "@steward/testing";
import { MockAgent, testHttp } from "../src/testing.ts";

t.test("a mocked session answers what the test wrote down, and refuses the rest", async (t) => {
  const manager = testHttp({
    baseUrl: "https://api.example.com",
    authorization: "Bearer x",
    retry: { maxAttempts: 2, baseDelayMs: 1 },
  });
  const pool = manager.agent.get("https://api.example.com");
  pool.intercept({ path: "/a", headers: { authorization: "Bearer x" } }).reply(200, { a: 1 });
  pool.intercept({ path: "/busy" }).reply(503, "busy");
  pool.intercept({ path: "/busy" }).reply(200, "done");
  await manager.start();
  t.same(await (await manager.client.request("/a")).body.json(), { a: 1 });
  t.equal(await (await fetchOver(manager.client)("/busy")).text(), "done", "retry is the real one");
  t.match(await failure(manager.client.request("/else")), { code: "UND_MOCK_ERR_MOCK_NOT_MATCHED" });
  t.match(manager.stats(), { started: 4, retried: 1 });
  await manager.stop();
  manager.agent.assertNoPendingInterceptors();
});

t.test("a mocked definition stands in for a real one", async (t) => {
  const definition = testHttp.definition("api");
  t.equal(definition.name, "api");
  t.equal(specOf(definition).kind, "managed");
  t.equal(testHttp().name, "http");
  t.throws(() => testHttp.definition(resource("users", { start: () => 1 }) as never), { code: "DEFINITION_INVALID" });
});

t.test("a session that is replaced by a mocked one keeps its options, so code under test runs as it is", async (t) => {
  const settings = resource("settings", { start: () => ({ api: "https://api.example.com/v1/" }) });
  const http = httpSession("api", {
    needs: { settings },
    options: ({ settings: { api } }) => ({
      baseUrl: api,
      headers: { "x-app": "clips" },
      connectTimeoutMs: 100,
      retry: { maxAttempts: 2, baseDelayMs: 1 },
    }),
    tags: ["api"],
  });
  const users = resource("users", {
    needs: { http },
    start:
      ({ http }) =>
      async () =>
        (await http.request("u")).body.json(),
  });
  const agent = new MockAgent();
  const definition = testHttp.definition(http, { agent, maxPending: 7 });
  const pool = agent.get("https://api.example.com");
  pool.intercept({ path: "/v1/u" }).reply(503, "");
  pool.intercept({ path: "/v1/u", headers: { "x-app": "clips" } }).reply(200, { id: 7 });
  t.match(specOf(definition), { name: "api", settings: { tags: ["api"] } });
  await using app = await container([users]).override(http, definition).start();
  t.same(await app.get(users)(), { id: 7 });
  t.match(await failure(app.get(http).request("else")), { code: "UND_MOCK_ERR_MOCK_NOT_MATCHED" });
});
