import { specOf } from "@steward/core";
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
