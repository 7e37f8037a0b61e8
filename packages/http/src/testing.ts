import { MockAgent } from "undici";
import { httpSession, HttpSessionManager } from "./manager.ts";
import type { HttpSessionOptions } from "./options.ts";

export type { MockAgent } from "undici";

/** A session whose answers a test writes down. */
export interface MockedHttpSession {
  /** Takes the place of a session in a container. */
  readonly definition: ReturnType<typeof httpSession>;
  /** The same without a container. */
  readonly manager: HttpSessionManager;
  /** undici's own: `agent.get(origin).intercept({ path }).reply(200, body)`. What is not intercepted is refused. */
  readonly agent: MockAgent;
}

/**
 * A session for tests: guard, deadlines, retries and headers are the real ones, the network is undici's `MockAgent`.
 *
 * @example
 * ```ts
 * import { mockHttpSession } from "@steward/http/testing";
 * const { manager, agent } = mockHttpSession();
 * agent.get("https://api.example.com").intercept({ path: "/answer" }).reply(200, "42");
 * await using http = await manager.start();
 * console.log(await (await http.client.request("https://api.example.com/answer")).body.text()); // => 42
 * ```
 */
export function mockHttpSession(
  name: string = "http",
  options: Omit<HttpSessionOptions, "client"> = {},
): MockedHttpSession {
  const agent = new MockAgent();
  agent.disableNetConnect();
  const mocked: HttpSessionOptions = { ...options, client: agent };
  return { definition: httpSession(name, mocked), manager: new HttpSessionManager(mocked, { name }), agent };
}
