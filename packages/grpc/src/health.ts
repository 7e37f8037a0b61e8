import { status, type Client, type ClientReadableStream, type ServiceError } from "@grpc/grpc-js";
import { StewardError, systemClock } from "@steward/core";
import { assertShape, milliseconds, shape, signal as aSignal, type Shape } from "@steward/core/driver";
import { healthService, type ServingStatus } from "./proto/codec.ts";

interface Asked {
  readonly service: string;
}
interface Answer {
  readonly status: ServingStatus;
}

/** How long and for whom to ask. */
export interface HealthCheckOptions {
  /** Longest wait, in ms. Default: that of the client. */
  readonly timeoutMs?: number | undefined;
  /** Gives it up when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

const checkShape: Shape<HealthCheckOptions> = shape<HealthCheckOptions>(() => ({
  timeoutMs: milliseconds(),
  signal: aSignal(),
}));
const watchShape = shape<Pick<HealthCheckOptions, "signal">>(() => ({ signal: aSignal() }));

const CHECK = "/grpc.health.v1.Health/Check";
const WATCH = "/grpc.health.v1.Health/Watch";

function codecOf(method: string): { serialize: (value: Asked) => Buffer; deserialize: (bytes: Buffer) => Answer } {
  const definition = healthService[method];
  if (definition === undefined) throw new TypeError(`no method ${method}`);
  return { serialize: definition.requestSerialize, deserialize: definition.responseDeserialize };
}

const check = codecOf("Check");
const watch = codecOf("Watch");

/**
 * Asks a server by `grpc.health.v1` how it is, or how one of its services is. Works with any client of grpc-js.
 *
 * @param service full name of a service; empty for the server as a whole.
 */
export function checkHealth(
  client: Client,
  service: string = "",
  options: HealthCheckOptions = {},
): Promise<ServingStatus> {
  return new Promise((resolve, reject) => {
    assertShape("checkHealth", checkShape, options);
    const { timeoutMs, signal } = options;
    const callOptions = timeoutMs === undefined ? {} : { deadline: systemClock.wallNow() + timeoutMs };
    const cancel = (): void => call.cancel();
    const call = client.makeUnaryRequest(
      CHECK,
      check.serialize,
      check.deserialize,
      { service },
      callOptions,
      (error, answer) => {
        signal?.removeEventListener("abort", cancel);
        if (error !== null) reject(error);
        else resolve(answer?.status ?? "UNKNOWN");
      },
    );
    if (signal?.aborted === true) cancel();
    else signal?.addEventListener("abort", cancel, { once: true });
  });
}

/**
 * Watches how a server or one of its services is: its status now, and every change, until the loop is left.
 *
 * @example
 * ```ts
 * import { GrpcChannelManager, watchHealth } from "@steward/grpc";
 * import { testGrpcServer } from "@steward/grpc/testing";
 * await using server = await testGrpcServer().start();
 * await using channel = await new GrpcChannelManager({ address: server.client.address }).start();
 * for await (const status of watchHealth(channel.client)) {
 *   console.log(status); // => SERVING
 *   break;
 * }
 * ```
 */
export async function* watchHealth(
  client: Client,
  service: string = "",
  options: Pick<HealthCheckOptions, "signal"> = {},
): AsyncGenerator<ServingStatus, void, void> {
  assertShape("watchHealth", watchShape, options);
  const stream: ClientReadableStream<Answer> = client.makeServerStreamRequest(
    WATCH,
    watch.serialize,
    watch.deserialize,
    { service },
  );
  const cancel = (): void => stream.cancel();
  if (options.signal?.aborted === true) cancel();
  else options.signal?.addEventListener("abort", cancel, { once: true });
  try {
    for await (const answer of stream) yield (answer as Answer).status; // what the codec gives
  } finally {
    options.signal?.removeEventListener("abort", cancel);
    // A stream that is left in the middle reports its own cancelling as an error.
    stream.on("error", () => {});
    stream.cancel();
  }
}

/** Statuses that prove a living server which only does not answer this question. */
const ALIVE: ReadonlySet<status> = new Set([status.UNIMPLEMENTED, status.UNAUTHENTICATED, status.PERMISSION_DENIED]);

/**
 * One health check as a probe; a server without `grpc.health.v1` proves by its refusal that it lives.
 *
 * @throws {GRPC_NOT_SERVING} when it says that it does not serve.
 * @throws {GRPC_PROBE_FAILED} when there is no answer.
 */
export async function probe(
  resource: string,
  client: Client,
  service: string,
  options: HealthCheckOptions,
): Promise<void> {
  const answer = await checkHealth(client, service, options).catch((error: ServiceError) => {
    if (ALIVE.has(error.code)) return "SERVING" as const;
    const message = `${resource}: health check failed: ${error.details} (${status[error.code]})`;
    throw new StewardError("GRPC_PROBE_FAILED", message, { resource, cause: error, retryable: true });
  });
  if (answer === "SERVING") return;
  const whom = service === "" ? "the server" : service;
  throw new StewardError("GRPC_NOT_SERVING", `${resource}: ${whom} answers that it is ${answer}`, {
    resource,
    retryable: true,
  });
}

/** Whether an error of a check is silence, rather than an answer or a broken connection that is known already. */
export function isSilence(error: unknown): boolean {
  return (error as Partial<ServiceError>).code === status.DEADLINE_EXCEEDED; // errors of a check are of grpc-js
}
