import {
  anything,
  assertShape,
  func,
  required,
  resource,
  shape,
  text,
  wholeNumber,
  type Shape,
  type Definition,
  type Needs,
  type OpenOfAll,
  type ValuesOf,
} from "@steward/core";
import type { FastifyInstance } from "fastify";
import { doorway, type Doorway } from "./doorway.ts";
import { fastifyError } from "../errors.ts";

/** Where a server listens. */
export interface ListenOptions {
  /** Default `127.0.0.1`. */
  readonly host?: string;
  /** `0` takes a free one. */
  readonly port: number;
}

/** How a server is made. */
export interface FastifyServerOptions<N extends Needs> {
  /** What the app is made with, besides the doorway. */
  readonly needs?: N;
  /** Makes the app, with the plugin on it: `app.register(steward, { running: doorway })`. It does not listen yet. */
  readonly app: (values: ValuesOf<N>, doorway: Doorway) => FastifyInstance | Promise<FastifyInstance>;
  /** Where it listens. */
  readonly listen: (values: ValuesOf<N>) => ListenOptions;
}

const serverShape: Shape<FastifyServerOptions<{}>> = shape<FastifyServerOptions<{}>>(() => ({
  needs: anything(), // told by the definition
  app: required(func()),
  listen: required(func()),
}));

const listenShape: Shape<ListenOptions> = shape<ListenOptions>(() => ({
  host: text(),
  port: required(wholeNumber(0, 65_535)),
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
      throw isBusy(error) ? busy(options.host ?? LOOPBACK, options.port, error) : error;
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

function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}

function busy(host: string, port: number, cause: unknown): Error {
  const message = `port ${port} of ${host} belongs to another program: stop that, or choose another port, such as ${port + 1}`;
  return fastifyError("PORT_BUSY", message, { cause });
}

/**
 * Defines a server as a resource: it listens while the rest of its container starts, so that probes are answered; it
 * drains before what its requests need is stopped.
 *
 * @example
 * ```ts no-run
 * import { fastify } from "fastify";
 * import { container, runMain } from "@steward/container";
 * import { Doorway, doorway, fastifyServer, inject, steward } from "@steward/fastify";
 * const server = fastifyServer("server", {
 *   listen: () => ({ port: 3000 }),
 *   app: async (_values, doorway) => {
 *     const app = fastify();
 *     await app.register(steward, { running: doorway });
 *     app.get("/", inject({}, () => "hello"));
 *     return app;
 *   },
 * });
 * const way = new Doorway();
 * await runMain(container([server]), { inputs: [doorway.is(way)], onReady: (running) => way.open(running) });
 * ```
 */
export function fastifyServer<const N extends Needs = {}>(
  name: string,
  options: FastifyServerOptions<N>,
): Definition<FastifyServer, "application", OpenOfAll<N> | "application:doorway"> {
  assertShape(name, serverShape, options);
  const { needs, app, listen } = options;
  const definition = resource(name, {
    needs: { ...needs, doorway },
    restart: "stop-first", // two cannot have one port
    start: async (values) => {
      const own = values as ValuesOf<N> & { readonly doorway: Doorway }; // the needs, and the one that was added
      return FastifyServer.listen(await app(own, own.doorway), listen(own));
    },
    drain: (server) => server.drain(),
    stop: (server) => server.stop(),
  });
  return definition as never; // the spread forgets which needs these are
}
