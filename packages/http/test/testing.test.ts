import { httpSession } from "../src/index.ts";
import { container } from "@steward/container";
import { resource } from "@steward/core";
import { specOf } from "@steward/core/container";
import t from "tap";
import { failure } from "@steward/testing";
import { mockHttpSession } from "../src/testing.ts";

t.test("a mocked session answers what the test wrote down, and refuses the rest", async (t) => {
  const { manager, agent } = mockHttpSession("api", {
    baseUrl: "https://api.example.com",
    authorization: "Bearer x",
    retry: { maxAttempts: 2, baseDelayMs: 1 },
  });
  const pool = agent.get("https://api.example.com");
  pool.intercept({ path: "/a", headers: { authorization: "Bearer x" } }).reply(200, { a: 1 });
  pool.intercept({ path: "/busy" }).reply(503, "busy");
  pool.intercept({ path: "/busy" }).reply(200, "done");
  await manager.start();
  t.same(await (await manager.client.request("/a")).body.json(), { a: 1 });
  t.equal(await (await manager.client.fetch("/busy")).text(), "done", "retry is the real one");
  t.match(await failure(manager.client.request("/else")), { code: "UND_MOCK_ERR_MOCK_NOT_MATCHED" });
  t.match(manager.stats(), { started: 4, retried: 1 });
  await manager.stop();
  agent.assertNoPendingInterceptors();
});

t.test("a mocked definition stands in for a real one", async (t) => {
  const { definition, manager } = mockHttpSession("http");
  t.equal(definition.name, "http");
  t.equal(specOf(definition).kind, "managed");
  t.equal(manager.name, "http");
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
  const { definition, agent } = mockHttpSession(http);
  const pool = agent.get("https://api.example.com");
  pool.intercept({ path: "/v1/u" }).reply(503, "");
  pool.intercept({ path: "/v1/u", headers: { "x-app": "clips" } }).reply(200, { id: 7 });
  t.match(specOf(definition), { name: "api", settings: { tags: ["api"] } });
  await using app = await container([users]).override(http, definition).start();
  t.same(await app.get(users)(), { id: 7 });
});

t.test("a mocked session of one that needs nothing works alone too", async (t) => {
  const { manager, agent } = mockHttpSession(httpSession("api", { baseUrl: "https://api.example.com" }));
  agent.get("https://api.example.com").intercept({ path: "/u" }).reply(200, "yes");
  await using api = await manager.start();
  t.equal(await (await api.client.request("/u")).body.text(), "yes");
});
