import type { RunningContainer } from "@steward/container";
import { containersUp } from "@steward/container/framework";
import { resource, type Definition } from "@steward/core";
import type { AnyDefinition, Needs, OpenOfAll, ValuesOf } from "@steward/core/container";
import { anything, assertShape, func, required, shape, text, wholeNumber, type Shape } from "@steward/core/driver";
import type { FastifyInstance } from "fastify";
import { fastifyError } from "../errors.ts";

/** Where a server listens. */
export interface ListenOptions {
  /** Default `127.0.0.1`. */
  readonly host?: string;
  /** `0` takes a free one. */
  readonly port: number;
}

/** Gives the container that a server is in, once all of it is up. */
export type RunningSource = () => RunningContainer | undefined;

/** How a server is made. */
export interface FastifyServerOptions<N extends Needs> {
  /** What the app is made with. */
  readonly needs?: N;
  /**
   * Makes the app, with the plugin on it: `app.register(steward, { running })`. It does not listen yet. `running` gives
   * the container that the server is a resource of, once all of it is up; until then requests are answered with 503.
   */
  readonly app: (values: ValuesOf<N>, running: RunningSource) => FastifyInstance | Promise<FastifyInstance>;
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
  const definition: AnyDefinition = resource(name, {
    needs: { ...needs } as {},
    restart: "stop-first", // two cannot have one port
    start: async (values) => {
      const own = values as ValuesOf<N>; // of these needs
      const link: Link = {};
      const running: RunningSource = () => (link.running ??= containerOf(definition, link.server));
      return (link.server = await FastifyServer.listen(await app(own, running), listen(own)));
    },
    drain: (server) => server.drain(),
    stop: (server) => server.stop(),
  });
  return definition as never; // the spread forgets which needs these are
}

/** What joins a server and its container, once both are there. */
interface Link {
  server?: FastifyServer;
  running?: RunningContainer | undefined;
}

/** The container that holds a server. */
function containerOf(definition: AnyDefinition, server: FastifyServer | undefined): RunningContainer | undefined {
  for (const running of containersUp()) if (held(running, definition) === server) return running;
  return undefined;
}

function held(running: RunningContainer, definition: AnyDefinition): unknown {
  try {
    return running.get(definition as Definition<unknown, "application">);
  } catch {
    return running; // it holds no such server, which is no server
  }
}
