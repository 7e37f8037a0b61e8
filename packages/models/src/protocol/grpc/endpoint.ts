import { status, type CallOptions, type ServiceError } from "@grpc/grpc-js";
import { isStewardError, systemClock } from "@steward/core";
import { statusDetails, type GrpcChannel } from "@steward/grpc";
import { modelError } from "../../errors.ts";
import type { Tensors } from "../../engine/tensor.ts";
import type { Endpoint, RemoteCall } from "../remote-manager.ts";
import { fromMessage, toMessage } from "./contents.ts";
import { inferenceClass, type Ask, type InferenceClient } from "./messages.ts";

/** Statuses after which the same call fails again. */
const FINAL: ReadonlySet<status> = new Set([
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
  status.UNIMPLEMENTED,
  status.FAILED_PRECONDITION,
  status.OUT_OF_RANGE,
  status.ALREADY_EXISTS,
]);

/** One model over gRPC, on a channel that is looked after elsewhere. */
export class GrpcEndpoint implements Endpoint {
  readonly #resource: string;
  readonly #channel: GrpcChannel;
  readonly #model: { readonly name: string; readonly version: string };

  constructor(resource: string, channel: GrpcChannel, model: string, version: string) {
    this.#resource = resource;
    this.#channel = channel;
    this.#model = { name: model, version };
  }

  /** The same one each time; its file is read when it is first used. */
  get #client(): InferenceClient {
    return this.#channel.as(inferenceClass());
  }

  describe(call: RemoteCall): Promise<unknown> {
    return this.#ask(this.#client.ModelMetadata, this.#model, call);
  }

  async ready(call: RemoteCall): Promise<void> {
    const { ready } = await this.#ask(this.#client.ModelReady, this.#model, call);
    if (ready) return;
    const message = "the server answers that the model is not ready";
    throw modelError("MODEL_REMOTE_FAILED", this.#resource, message, { retryable: true });
  }

  async infer(inputs: Tensors, call: RemoteCall): Promise<Tensors> {
    const { tensors, raw } = toMessage(inputs, true);
    const { name, version } = this.#model;
    const request = { model_name: name, model_version: version, inputs: tensors, raw_input_contents: raw };
    const answer = await this.#ask(this.#client.ModelInfer, request, call);
    return fromMessage(answer.outputs, answer.raw_output_contents, "outputs");
  }

  /** The server learns of the deadline, and of an abort. */
  #ask<Request, Answer>(
    method: Ask<Request, Answer>,
    request: Request,
    { signal, leftMs }: RemoteCall,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const options: CallOptions = Number.isFinite(leftMs)
        ? { deadline: systemClock.wallNow() + Math.max(0, leftMs) }
        : {};
      const cancel = (): void => call.cancel();
      const call = method.call(this.#client, request, options, (error, answer) => {
        signal.removeEventListener("abort", cancel);
        if (error === null && answer !== undefined) resolve(answer);
        else reject(this.#failed(error));
      });
      if (signal.aborted) cancel();
      else signal.addEventListener("abort", cancel, { once: true });
    });
  }

  #failed(error: ServiceError | null): unknown {
    const code = error?.code ?? status.UNKNOWN;
    const message = `the server answered ${status[code]}: ${error?.details.slice(0, 500) ?? "nothing more"}`;
    if (code === status.INVALID_ARGUMENT) return modelError("MODEL_INPUT_INVALID", this.#resource, message);
    if (code === status.NOT_FOUND) return modelError("MODEL_UNKNOWN", this.#resource, message);
    // What the channel refused, or gave up, has a code of its own.
    if (isStewardError(error?.cause) && error.cause.code !== "RESOURCE_UNAVAILABLE") return error.cause;
    const retryAfterMs = error === null ? undefined : statusDetails(error)?.retryAfterMs;
    return modelError("MODEL_REMOTE_FAILED", this.#resource, message, {
      retryable: !FINAL.has(code),
      cause: error,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
}
