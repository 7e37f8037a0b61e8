import type { ManagerContext } from "@steward/core/driver";
import { GrpcChannelManager, type GrpcChannelOptions, type GrpcServerManager } from "../src/index.ts";
import { testGrpcServer } from "../src/testing.ts";
import type { RendererClient } from "./fixtures/generated/clips/v1/Renderer.ts";
import { Renderer, renderer, type Seen } from "./renderer.ts";

/** The two, with what the handlers were told. */
export interface Pair extends AsyncDisposable {
  readonly server: GrpcServerManager;
  readonly manager: GrpcChannelManager<RendererClient>;
  readonly client: RendererClient;
  readonly seen: Seen;
}

/** What no handler has been told of yet. */
export const nothing = (): Seen => ({ aborted: [], started: 0 });

/** A server in this process with the renderer, and a channel to it. */
export async function pair(
  options: Partial<GrpcChannelOptions<RendererClient>> = {},
  serverOptions: object = {},
  context: ManagerContext = {},
): Promise<Pair> {
  const seen = nothing();
  const server = await testGrpcServer({ services: [renderer(seen)], ...serverOptions }).start();
  const manager = await new GrpcChannelManager(
    { address: server.client.address, service: Renderer, ...options },
    { name: "renderer", ...context },
  ).start();
  return {
    server,
    manager,
    client: manager.client,
    seen,
    [Symbol.asyncDispose]: async () => {
      await manager.stop();
      await server.stop();
    },
  };
}
