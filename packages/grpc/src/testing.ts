import type { Client } from "@grpc/grpc-js";
import { resource, type Definition } from "@steward/core";
import type { ServiceConstructor } from "./channel/channel.ts";
import { GrpcChannelManager } from "./manager.ts";
import type { GrpcService } from "./server/handlers.ts";
import { GrpcServerManager } from "./server/manager.ts";
import type { GrpcServerOptions } from "./server/options.ts";

/** A real server in this process, on a free port of this machine; it must be started. */
export function grpcForTests(
  services: readonly GrpcService[] = [],
  options: Omit<GrpcServerOptions, "services"> = {},
): GrpcServerManager {
  return new GrpcServerManager({ port: 0, ...options, services }, { name: "grpc-for-tests" });
}

/**
 * A client of a service that takes the place of a channel in a container: behind it are your handlers, in a real
 * server in this process, over a real connection.
 */
export function testGrpcChannel<Service extends Client>(
  name: string,
  service: ServiceConstructor<Service>,
  implementation: GrpcService,
): Definition<Service> {
  return resource(name, {
    start: async function* () {
      await using server = await grpcForTests([implementation]).start();
      await using channel = await new GrpcChannelManager({ address: server.client.address, service }, { name }).start();
      yield channel.client;
    },
  });
}
