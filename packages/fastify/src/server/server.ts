import type { Definition } from "@steward/core";
import type { Needs, OpenOfAll, ValuesOf } from "@steward/core/container";
import { anything, assertShape, func, required, shape, type Shape } from "@steward/core/driver";
import { listenError, listenShape, serverResource, type ListenOptions, type ServerRunning } from "@steward/server/node";
import type { FastifyInstance } from "fastify";

/** How a server is made. */
export interface FastifyServerOptions<N extends Needs> {
  /** What the app is made with. */
  readonly needs?: N;
  /**
   * Makes the app, with the plugin on it: `app.register(steward, { running })`. It does not listen yet. `running` gives
   * the container that the server is a resource of, once all of it is up; until then requests are answered with 503.
   */
  readonly app: (values: ValuesOf<N>, running: ServerRunning) => FastifyInstance | Promise<FastifyInstance>;
  /** Where it listens. */
  readonly listen: (values: ValuesOf<N>) => ListenOptions;
}

const serverShape: Shape<FastifyServerOptions<{}>> = shape<FastifyServerOptions<{}>>(() => ({
  needs: anything(), // checked by the definition
  app: required(func()),
  listen: required(func()),
}));

const LOOPBACK = "127.0.0.1";

/** An app that listens. It drains and stops with its container. */
export class FastifyServer {
  readonly app: FastifyInstance;
  /** Where it listens, such as `http://127.0.0.1:3000`. */
  readonly url: string;
  #closing: Promise<void> | undefined;

  private constructor(app: FastifyInstance, url: string) {
    this.app = app;
    this.url = url;
  }

  /**
   * Lets an app listen; it is closed where it cannot.
   *
   * @throws {PORT_BUSY} when another program has the port.
   */
  static async listen(app: FastifyInstance, options: ListenOptions): Promise<FastifyServer> {
    try {
      assertShape("listen", listenShape, options);
      const url = await app.listen({
        host: options.host ?? LOOPBACK,
        port: options.port,
        listenTextResolver: (address) => `listening at ${address}`,
      });
      return new FastifyServer(app, url);
    } catch (error) {
      await app.close();
      throw listenError(options, error);
    }
  }

  /** Accepts no more connections, lets requests and their cleanup end, and closes each connection as soon as it is idle. */
  drain(): Promise<void> {
    return (this.#closing ??= this.app.close());
  }

  /** Closes what is left, by force. */
  async stop(): Promise<void> {
    const closed = this.drain();
    this.app.server.closeAllConnections();
    await closed;
  }
}

/**
 * Defines a server as a resource: it listens while the rest of its container starts, so that probes are answered; it
 * drains before what its requests need is stopped.
 *
 * @example
 * ```ts no-run
 * import { fastify } from "fastify";
 * import { container, runMain } from "@steward/container";
 * import { fastifyServer, handler, steward } from "@steward/fastify";
 * const server = fastifyServer("server", {
 *   listen: () => ({ port: 3000 }),
 *   app: async (_values, running) => {
 *     const app = fastify();
 *     await app.register(steward, { running });
 *     app.get("/", handler({}, () => "hello"));
 *     return app;
 *   },
 * });
 * await runMain(container([server]));
 * ```
 */
export function fastifyServer<const N extends Needs = {}>(
  name: string,
  options: FastifyServerOptions<N>,
): Definition<FastifyServer, "application", OpenOfAll<N>> {
  assertShape(name, serverShape, options);
  const { needs, app, listen } = options;
  return serverResource(name, needs, async (values, running) =>
    FastifyServer.listen(await app(values, running), listen(values)),
  );
}
