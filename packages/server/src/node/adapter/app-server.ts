import type { Server } from "node:http";
import type { Definition } from "@steward/core";
import type { Needs, OpenOfAll, ValuesOf } from "@steward/core/container";
import { anything, assertShape, func, milliseconds, required, shape, type Shape } from "@steward/core/driver";
import { timeoutsOf, type ServerTimeouts } from "../serve.ts";
import { NodeServer, type ListenOptions } from "../server.ts";
import { serverResource, type ServerRunning } from "../server-resource.ts";
import { joinedOf } from "./joined-app.ts";

/** How the server of a framework's app is made. */
export interface AppServerOptions<App, N extends Needs> extends ServerTimeouts {
  /** What the app is made with. */
  readonly needs?: N;
  /**
   * Makes the app, with `steward(app, { running })` on it. `running` gives the container that the server is a resource
   * of, once all of it is up; until then requests are answered with 503.
   */
  readonly app: (values: ValuesOf<N>, running: ServerRunning) => App | Promise<App>;
  /** Where it listens. */
  readonly listen: (values: ValuesOf<N>) => ListenOptions;
}

const serverShape: Shape<AppServerOptions<unknown, {}>> = shape<AppServerOptions<unknown, {}>>(() => ({
  needs: anything(), // checked by the definition
  app: required(func()),
  listen: required(func()),
  requestTimeoutMs: milliseconds(1),
  keepAliveTimeoutMs: milliseconds(1),
}));

/**
 * Defines the server of a framework's app as a resource: it listens while the rest of its container starts, and drains
 * before what its requests need is stopped.
 *
 * @param serverOf Makes Node's server of an app, with the timeouts.
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 * @throws {NOT_REGISTERED} at start, when the app was not joined.
 * @throws {PORT_BUSY} at start, when another program has the port.
 */
export function appServer<App extends object, const N extends Needs>(
  name: string,
  options: AppServerOptions<App, N>,
  serverOf: (app: App, timeouts: ReturnType<typeof timeoutsOf>) => Server,
): Definition<NodeServer<Server>, "application", OpenOfAll<N>> {
  assertShape(name, serverShape, options);
  const { needs, app: make, listen } = options;
  return serverResource(name, needs, async (values, running) => {
    const app = await make(values, running);
    const joined = joinedOf(app);
    joined.compile();
    return NodeServer.listen(serverOf(app, timeoutsOf(options)), listen(values), joined);
  });
}
