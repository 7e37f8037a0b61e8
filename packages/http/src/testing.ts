import { MockAgent } from "undici";
import type { Definition } from "@steward/core";
import { specOf } from "@steward/core/container";
import { httpSession, HttpSessionManager } from "./manager.ts";
import { OF_CONNECTIONS, type HttpSessionOptions } from "./options.ts";
import type { HttpSession } from "./session/session.ts";

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
 * Given the definition of a real session, it keeps all its options but those of connections, so that
 * `override(http, mockHttpSession(http).definition)` changes nothing but the network. Its `manager` then exists where
 * the options need nothing.
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
  of: string | Definition<HttpSession, "application" | "application?"> = "http",
  options: Omit<HttpSessionOptions, "client"> = {},
): MockedHttpSession {
  const agent = new MockAgent();
  agent.disableNetConnect();
  const mocked = (given: HttpSessionOptions): HttpSessionOptions => ({ ...given, ...options, client: agent });
  if (typeof of === "string")
    return {
      definition: httpSession(of, mocked({})),
      manager: new HttpSessionManager(mocked({}), { name: of }),
      agent,
    };
  const { name, needs, settings, enabled, managed } = specOf(of);
  const optionsOf = (values: Readonly<Record<string, unknown>>): HttpSessionOptions =>
    mocked(withoutConnections(managed?.prepare(values) as HttpSessionOptions)); // what the factory was given
  const derived = {
    ...settings,
    needs: needs as {},
    options: optionsOf,
    ...(enabled === undefined ? {} : { enabled }),
  };
  return {
    definition: httpSession(name, derived as Parameters<typeof httpSession>[1]), // as it was defined
    get manager() {
      return new HttpSessionManager(optionsOf({}), { name });
    },
    agent,
  };
}

/** The options of a session but for those that its connections are made with. */
function withoutConnections(given: HttpSessionOptions): HttpSessionOptions {
  return Object.fromEntries(Object.entries(given).filter(([key]) => !OF_CONNECTIONS.includes(key)));
}
