import type { Client } from "@grpc/grpc-js";
import type { Definition } from "@steward/core";
import { defineTestDriver, optionsWithout, type ManagerContext, type TestFactory } from "@steward/core/driver";
import type { GrpcChannel } from "./channel/channel.ts";
import { grpcChannel, GrpcChannelManager } from "./manager.ts";
import type { GrpcChannelOptions } from "./options.ts";
import type { GrpcService } from "./server/handlers.ts";
import { grpcServer, GrpcServerManager } from "./server/manager.ts";
import type { GrpcServerOptions } from "./server/options.ts";
import type { GrpcServer } from "./server/server.ts";

/** Options of a server for tests; it serves nothing but its health unless asked to. */
export type TestGrpcServerOptions = Omit<GrpcServerOptions, "services"> & Partial<Pick<GrpcServerOptions, "services">>;

/**
 * A server for tests: the real one in this process, on a free port of this machine.
 * `testGrpcServer.definition(api)` takes the place of a server in a container, with its services.
 *
 * @example
 * ```ts
 * import { checkHealth, GrpcChannelManager } from "@steward/grpc";
 * import { testGrpcServer } from "@steward/grpc/testing";
 * await using server = await testGrpcServer({ services: [] }).start();
 * await using channel = await new GrpcChannelManager({ address: server.client.address }).start();
 * console.log(await checkHealth(channel.client)); // => SERVING
 * ```
 */
export const testGrpcServer: TestFactory<TestGrpcServerOptions, GrpcServer, GrpcServerManager> = defineTestDriver({
  define: (name) => grpcServer(name, { services: [] }),
  keep: (given) => optionsWithout(given, ["host", "port", "tls"]),
  create: (options, context) => new GrpcServerManager({ port: 0, services: [], ...options }, context),
});

/** Options of a channel for tests: all but where it leads. */
export type TestGrpcChannelOptions<Service extends Client = Client> = Omit<
  GrpcChannelOptions<Service>,
  "address" | "tls" | "client"
> & {
  /** What answers its calls, made by `implement`. Default: nothing but the health service. */
  readonly services?: readonly GrpcService[] | undefined;
};

/** A channel with a server of its own behind it. */
class TestGrpcChannelManager<Service extends Client> extends GrpcChannelManager<Service> {
  readonly #server: GrpcServerManager;

  constructor({ services = [], ...options }: TestGrpcChannelOptions<Service>, context: ManagerContext) {
    super({ ...options, address: "127.0.0.1:0" }, context);
    this.#server = testGrpcServer({ services }, { name: `${this.name}-server` });
  }

  protected override async onStart(signal: AbortSignal): Promise<void> {
    await this.#server.start({ signal });
    this.address = this.#server.client.address;
    await super.onStart(signal);
  }

  protected override async onStop(signal: AbortSignal): Promise<void> {
    await super.onStop(signal);
    await this.#server.stop();
  }
}

/** What {@link testGrpcChannel} is, with the type of the service. */
export interface TestGrpcChannel {
  /** A channel to use alone; it must be started. */
  <Service extends Client = GrpcChannel>(
    options?: TestGrpcChannelOptions<Service>,
    context?: ManagerContext,
  ): GrpcChannelManager<Service>;
  /** A definition for `override`: of a name, or in the place of another definition, whose needs, settings and options stay. */
  definition<Service extends Client = GrpcChannel, R extends string = "application", Open extends string = never>(
    of: string | Definition<Service, R, Open>,
    options?: TestGrpcChannelOptions<Service>,
  ): Definition<Service, R, Open>;
}

/**
 * A channel for tests: behind it are your handlers, in a real server in this process, over a real connection.
 * `testGrpcChannel.definition(renderer, { services })` takes the place of a channel in a container.
 */
export const testGrpcChannel: TestGrpcChannel = defineTestDriver<
  TestGrpcChannelOptions,
  GrpcChannel,
  GrpcChannelManager
>({
  define: (name) => grpcChannel(name, { address: "127.0.0.1:0" }),
  keep: (given) => optionsWithout(given, ["address", "tls", "client", "authorization"]),
  create: (options, context) => new TestGrpcChannelManager(options as TestGrpcChannelOptions<GrpcChannel>, context), // without a class
}) as TestGrpcChannel; // its service is that of the options
