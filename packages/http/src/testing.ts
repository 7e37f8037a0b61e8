import { defineTestDriver, optionsWithout, type ManagerContext, type TestFactory } from "@steward/core/driver";
import { MockAgent } from "undici";
import { httpSession, HttpSessionManager } from "./manager.ts";
import { OF_CONNECTIONS, type HttpSessionOptions } from "./options.ts";
import type { HttpSession } from "./session/session.ts";

export { MockAgent } from "undici";

/** Options of a session for tests: all but how it connects. */
export type TestHttpOptions = Omit<HttpSessionOptions, "client"> & {
  /** Where answers are written down, for a definition. What it does not know is refused. Default: a new one, `agent` of the manager. */
  readonly agent?: MockAgent | undefined;
};

/** A session whose answers a test writes down. */
export class TestHttpManager extends HttpSessionManager {
  /** undici's own: `agent.get(origin).intercept({ path }).reply(200, body)`. */
  readonly agent: MockAgent;

  constructor({ agent = new MockAgent(), ...options }: TestHttpOptions, context: ManagerContext) {
    super({ ...options, client: agent }, context);
    agent.disableNetConnect();
    this.agent = agent;
  }
}

/**
 * A session for tests: guard, deadlines, retries and headers are the real ones, the network is undici's `MockAgent`.
 * `testHttp.definition(http, { agent })` takes the place of a session in a container.
 *
 * @example
 * ```ts
 * import { testHttp } from "@steward/http/testing";
 * const manager = testHttp({ baseUrl: "https://api.example.com" });
 * manager.agent.get("https://api.example.com").intercept({ path: "/answer" }).reply(200, "42");
 * await using http = await manager.start();
 * console.log(await (await http.client.request("/answer")).body.text()); // => 42
 * ```
 */
export const testHttp: TestFactory<TestHttpOptions, HttpSession, TestHttpManager> = defineTestDriver({
  define: (name) => httpSession(name, {}),
  keep: (given) => optionsWithout(given, ["client", ...OF_CONNECTIONS]),
  create: (options, context) => new TestHttpManager(options, context),
});
