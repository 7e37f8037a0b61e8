import { defineDriver, givenSchema, hasMethods, type DriverFactory, type ManagerContext } from "@steward/core/driver";
import type { GrpcChannel } from "@steward/grpc";
import * as v from "valibot";
import type { Model } from "../../serving/model.ts";
import { remoteEntries, RemoteManager, type CheckedRemote, type RemoteOptions } from "../remote-manager.ts";
import { GrpcEndpoint } from "./endpoint.ts";

/** Options of a {@link GrpcModelManager}. */
export interface GrpcModelOptions extends RemoteOptions {
  /** The channel to the server, that of a `grpcChannel`: its address, TLS, credentials and message sizes hold. */
  readonly channel: GrpcChannel;
}

interface CheckedOptions extends CheckedRemote {
  readonly channel: GrpcChannel;
}

const schema: v.GenericSchema<unknown, CheckedOptions> = v.strictObject({
  channel: givenSchema<GrpcChannel>((value) => hasMethods(value, "as"), "a channel of grpcChannel"),
  ...remoteEntries(),
});

/** Looks after a model at a server of the Open Inference Protocol over gRPC: Triton, KServe, OpenVINO, or ours. */
export class GrpcModelManager extends RemoteManager<CheckedOptions> {
  /** @throws {OPTIONS_INVALID} listing everything that is wrong with the options. */
  constructor(options: GrpcModelOptions, context: ManagerContext = {}) {
    const connect = (resource: string, { channel, model = resource, version = "" }: CheckedOptions) =>
      new GrpcEndpoint(resource, channel, model, version);
    super("grpc-model", { schema, options, connect }, context);
  }
}

/**
 * Defines a model at a server of the Open Inference Protocol (KServe v2) over gRPC, on a channel of `@steward/grpc`. Its value
 * is a `Model`, as that of a local one and of one over REST.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong literal option.
 *
 * @example
 * ```ts
 * import { grpcChannel } from "@steward/grpc";
 * import { grpcModel } from "@steward/models/grpc";
 * const channel = grpcChannel("triton", { address: "models.internal:8001", tls: true });
 * const caption = grpcModel("caption", { needs: { channel }, options: ({ channel }) => ({ channel, version: "3" }) });
 * console.log(caption.name); // => caption
 * ```
 */
export const grpcModel: DriverFactory<GrpcModelOptions, Model> = /* @__PURE__ */ defineDriver<GrpcModelOptions, Model>({
  kind: "grpc-model",
  schema,
  settings: { readiness: "startup" },
  create: (options, context) => new GrpcModelManager(options, context),
  inherit: ({ timeoutMs, breaker }) => ({ timeoutMs, breaker }),
});
