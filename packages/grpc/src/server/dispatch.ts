import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import {
  Metadata,
  status as codes,
  type MethodDefinition,
  type sendUnaryData,
  type ServiceDefinition,
  type StatusObject,
  type UntypedHandleCall,
} from "@grpc/grpc-js";
import {
  runWithContext,
  type CallAbout,
  type CallEnd,
  StewardError,
  systemClock,
  type Clock,
  type Guard,
} from "@steward/core";
import { publishServing, publishUnhandled, soundContext } from "@steward/core/driver";
import { rpcAttributes } from "../channel/attributes.ts";
import { statusOfEnd, statusOfError } from "../status.ts";
import type { AnyHandler, GrpcCallContext, ServerCall } from "./handlers.ts";

/** A call that runs at a server. */
export interface ServedCall {
  /** The server stops: its caller hears of it, and its handler is aborted. */
  end(): void;
}

/** What all calls at a server share. */
export interface DispatchSettings {
  /** Calls that run. */
  readonly calls: Set<ServedCall>;
  readonly resource: string;
  readonly clock: Clock;
  readonly guard: Guard;
  /** Longest call whose caller set no deadline and that does not stream its answers, in ms. */
  readonly timeoutMs: number;
  /** Aborts when the server begins to drain; another one after each start. */
  readonly draining: () => AbortSignal;
  /** Called with errors that are answered with INTERNAL, without their text. */
  readonly onError: (error: unknown, path: string) => void;
}

type Method = MethodDefinition<unknown, unknown>;
type Answer = sendUnaryData<unknown>;

/** Makes the handler that grpc-js calls: it runs ours within the guard, the deadline and the context of the caller. */
export function dispatcher(settings: DispatchSettings, method: Method, handler: AnyHandler): UntypedHandleCall {
  return (call: ServerCall, answer?: Answer) => void new Dispatch(settings, method, call, answer).run(handler);
}

/** The same service; `onError` is called with an answer that cannot be sent, which grpc-js ends with INTERNAL by itself. */
export function hearAnswers(onError: DispatchSettings["onError"], service: ServiceDefinition): ServiceDefinition {
  if (Object(service) !== service) return service; // refused by grpc-js
  return Object.fromEntries(
    Object.entries(service).map(([name, method]) => [name, method.responseStream ? method : hearing(onError, method)]),
  );
}

function hearing(onError: DispatchSettings["onError"], method: Method): Method {
  const responseSerialize = (answer: unknown): Buffer => {
    try {
      return method.responseSerialize(answer);
    } catch (error) {
      report(onError, error, method.path);
      throw error;
    }
  };
  return { ...method, responseSerialize };
}

/** What `onError` itself throws, or rejects with, is no matter of the call. */
function report(onError: DispatchSettings["onError"], error: unknown, path: string): void {
  publishUnhandled("rpc", error, { name: path });
  new Promise<void>((resolve) => resolve(onError(error, path))).catch((reason: unknown) =>
    publishUnhandled("task", reason, { name: "onError" }),
  );
}

class Dispatch implements ServedCall {
  readonly #settings: DispatchSettings;
  readonly #method: Method;
  readonly #call: ServerCall;
  readonly #answer: Answer | undefined;
  readonly #abort = new AbortController();
  #hasBegun = false;
  #isAnswered = false;

  constructor(settings: DispatchSettings, method: Method, call: ServerCall, answer: Answer | undefined) {
    this.#settings = settings;
    this.#method = method;
    this.#call = call;
    this.#answer = answer;
    const gone = new StewardError("CALL_ABORTED", `${settings.resource}: the caller has gone`, {
      resource: settings.resource,
    });
    call.on("cancelled", () => this.#abort.abort(gone));
    // A stream that breaks says so by its end; without a listener it would end the process.
    if (method.requestStream || method.responseStream) call.on("error", (error: unknown) => this.#abort.abort(error));
  }

  async run(handler: AnyHandler): Promise<void> {
    const { resource, guard, timeoutMs, calls } = this.#settings;
    publishServing(resource);
    calls.add(this);
    const context = this.#context();
    const { signal, deadline } = context;
    const bound =
      deadline === Number.POSITIVE_INFINITY && !this.#method.responseStream ? timeoutMs : Number.POSITIVE_INFINITY;
    const carried = {
      deadline,
      signal,
      ...soundContext(this.#text("x-request-id"), this.#text("traceparent")),
    };
    try {
      // The deadline is in the context, where the guard finds it.
      const value = await runWithContext(carried, () =>
        guard.run(() => this.#handle(handler, context), {
          timeoutMs: bound,
          operation: this.#method.path,
          about: (end) => this.#about(end),
        }),
      );
      if (this.#isAnswered) return;
      if (this.#answer === undefined) this.#writable().end();
      else this.#answer(null, value);
    } catch (error) {
      this.#fail(error);
    } finally {
      calls.delete(this);
    }
  }

  /** What it is in a trace. */
  #about(end: CallEnd | undefined): CallAbout {
    const code = end?.error === undefined ? codes.OK : statusOfError(end.error).code;
    const status = end === undefined ? {} : { "rpc.response.status_code": codes[code] };
    return { kind: "server", attributes: { ...rpcAttributes(this.#method.path), ...status } };
  }

  #text(name: string): string | undefined {
    const [value] = this.#call.metadata.get(name);
    return typeof value === "string" ? value : undefined;
  }

  /** Readable or writable, as the method's definition says. */
  #readable(): Readable {
    return this.#call as unknown as Readable; // where the method takes a stream
  }

  #writable(): Writable {
    return this.#call as unknown as Writable; // where the method answers with a stream
  }

  #context(): GrpcCallContext {
    const call = this.#call;
    const { clock, draining } = this.#settings;
    const deadline = Number(call.getDeadline());
    return {
      path: this.#method.path,
      metadata: call.metadata,
      peer: call.getPeer(),
      peerCertificate: call.getAuthContext().sslPeerCertificate,
      deadline: deadline === Number.POSITIVE_INFINITY ? deadline : clock.now() + deadline - systemClock.wallNow(),
      signal: this.#abort.signal,
      draining: draining(),
      sendMetadata: (metadata) => call.sendMetadata(metadata),
    };
  }

  async #handle(handler: AnyHandler, context: GrpcCallContext): Promise<unknown> {
    this.#hasBegun = true;
    // A plain loop over a duplex destroys it at the end of the requests, before the answers are out.
    const request = this.#method.requestStream
      ? this.#readable().iterator({ destroyOnReturn: false })
      : (this.#call as { request?: unknown }).request;
    const result = handler(request, context);
    if (!this.#method.responseStream) return result;
    const stream = this.#writable();
    const { signal } = context;
    for await (const message of result as AsyncIterable<unknown>) {
      signal.throwIfAborted();
      // At the speed of the caller: a full buffer is waited for.
      if (!stream.write(message)) await once(stream, "drain", { signal });
    }
    return undefined;
  }

  #fail(error: unknown): void {
    // What runs on behalf of a caller who has gone, or whose time is over, need not go on.
    if (!this.#abort.signal.aborted) this.#abort.abort(error);
    const status = statusOfError(error);
    this.#refuse(status);
    // Last: whatever it does, the caller has the answer.
    if (status.code !== codes.INTERNAL) return;
    report(this.#settings.onError, error, this.#method.path);
  }

  #refuse(status: StatusObject): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    if (this.#answer !== undefined) this.#answer(status);
    else if (!this.#call.cancelled)
      this.#call.emit("error", { ...status, metadata: status.metadata ?? new Metadata() });
  }

  end(): void {
    this.#refuse(statusOfEnd(this.#hasBegun));
    const { resource } = this.#settings;
    const message = `${resource}: stopped while the call was in flight`;
    this.#abort.abort(new StewardError("RESOURCE_UNAVAILABLE", message, { resource }));
  }
}
