import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { defineTestDriver, optionsWithout, type ManagerContext, type TestFactory } from "@steward/core/driver";
import type { WebSocketHub } from "./hub/hub.ts";
import { webSocketHub, WebSocketHubManager } from "./hub/manager.ts";
import type { WebSocketHubOptions } from "./hub/options.ts";

/** Options of a hub for tests: all but its server. Everybody may join any room. */
export type TestHubOptions<User = unknown> = Omit<WebSocketHubOptions<User>, "server"> & {
  /** Port on 127.0.0.1. Default: any that is free, and after a restart the same. */
  readonly port?: number | undefined;
};

/** A hub with a server of its own, for tests. */
export class TestHubManager<User = unknown> extends WebSocketHubManager<User> {
  readonly #server: Server;
  #port: number;

  constructor({ port = 0, ...options }: TestHubOptions<User>, context?: ManagerContext) {
    const server = createServer();
    super({ authorize: () => true, drainSpreadMs: 0, ...options, server }, context);
    this.#server = server;
    this.#port = port;
  }

  /** Where it listens, `ws://127.0.0.1:...`; right once it is started. */
  get url(): string {
    return `ws://127.0.0.1:${this.#port}`;
  }

  protected override async onStart(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, "127.0.0.1", () => resolve());
    });
    this.#port = (this.#server.address() as AddressInfo).port; // it listens on a port
    await super.onStart();
  }

  protected override async onStop(signal: AbortSignal): Promise<void> {
    await super.onStop(signal);
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      // A client that went before it asked for anything may be seen to end seconds later only.
      this.#server.closeAllConnections();
    });
  }
}

/** What {@link testHub} is, with the type of users. */
export interface TestHub extends TestFactory<TestHubOptions, WebSocketHub, TestHubManager> {
  /** A hub to use alone; it must be started. */
  <User = unknown>(options?: TestHubOptions<User>, context?: ManagerContext): TestHubManager<User>;
}

/**
 * A hub for tests: real sockets, on a port of its own. Sessions are tested against its `url`;
 * `testHub.definition(hub)` takes the place of a hub in a container.
 *
 * @example
 * ```ts
 * import { WebSocketSessionManager } from "@steward/websocket";
 * import { testHub } from "@steward/websocket/testing";
 * await using hub = await testHub({ call: (body) => ({ echo: body }) }).start();
 * await using session = await new WebSocketSessionManager({ url: hub.url }).start();
 * console.log(await session.client.call(1)); // => { echo: 1 }
 * ```
 */
export const testHub: TestHub = defineTestDriver<TestHubOptions, WebSocketHub, TestHubManager>({
  define: (name) => webSocketHub(name, {}),
  keep: (given) => optionsWithout(given, ["server"]),
  create: (options, context) => new TestHubManager(options, context),
}) as TestHub; // its users are those of the options
