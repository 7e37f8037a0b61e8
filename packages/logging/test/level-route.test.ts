import { serveManagement } from "@steward/container";
import { FakeClock } from "@steward/core/testing";
import t from "tap";
import { levelRoute, LoggerManager } from "../src/index.ts";
import { memoryLog } from "../src/testing.ts";

const TOKEN = "h4nd-m4de-t0ken-0";

t.test("the level is changed by a request with the token, for a bounded time, with a line", async (t) => {
  const destination = memoryLog();
  const clock = new FakeClock();
  const manager = new LoggerManager({ destination, listen: [] }, { name: "log", clock });
  const route = levelRoute(manager.client, { token: TOKEN, maxMs: 60_000 });
  const waiting = levelRoute(() => undefined, { token: TOKEN });
  const routes = { "/log-level": route, "/waiting": waiting };
  await using management = await serveManagement(() => undefined, { routes });
  const ask = async (path: string, method = "PUT", token = TOKEN): Promise<readonly [number, unknown]> => {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`${management.url}${path}`, { method, headers });
    return [answer.status, await answer.json()];
  };
  t.match(await ask("/log-level?level=debug", "PUT", "another-t0ken-000"), [401]);
  t.match(await ask("/log-level?level=debug", "DELETE"), [405]);
  t.match(await ask("/log-level?level=loud"), [400, { error: /level/ }]);
  for (const forMs of ["60001", "0", "soon", "1.5"]) t.match(await ask(`/log-level?level=debug&forMs=${forMs}`), [400]);
  t.match(await ask("/waiting?level=debug"), [503]);
  t.equal(manager.client.level, "info", "what is refused changes nothing");
  t.same(await ask("/log-level?level=debug&forMs=5000"), [200, { level: "debug", forMs: 5_000 }]);
  t.match(destination.lines, [{ event: "level", from: "info", to: "debug", forMs: 5_000 }]);
  await clock.advance(4_999);
  t.same(await ask("/log-level", "GET"), [200, { level: "debug" }]);
  await clock.advance(1);
  t.same(await ask("/log-level", "GET"), [200, { level: "info" }], "as the options say, again");
  t.same(await ask("/log-level?level=warn"), [200, { level: "warn", forMs: 60_000 }], "the most, where none is given");
});

t.test("a route without a token worth the name is refused", (t) => {
  const { client } = new LoggerManager({ destination: memoryLog() });
  t.throws(() => levelRoute(client, { token: "short" }), { code: "OPTIONS_INVALID", message: /token/ });
  t.end();
});
