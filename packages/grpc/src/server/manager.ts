import { connect } from "node:net";
import type { ServerOptions, UntypedServiceImplementation } from "@grpc/grpc-js";
import { Guard, StewardError } from "@steward/core";
import {
  aborted,
  checkOptions,
  describeError,
  Manager,
  defineDriver,
  type DriverFactory,
  type ManagerContext,
} from "@steward/core/driver";
import { healthPackage, healthService } from "../proto/codec.ts";
import { GrpcStatusError, type StatusName } from "../status.ts";
import { dispatcher, hearAnswers, type ServedCall } from "./dispatch.ts";
import { HealthService } from "./health-service.ts";
import { nameOf, type AnyHandler, type GrpcService } from "./handlers.ts";
import { Listener } from "./listener.ts";
import { http2ServersOf, limitResets } from "./resets.ts";
import { grpcServerSchema, type CheckedServerOptions, type GrpcServerOptions } from "./options.ts";
import { GrpcServer } from "./server.ts";

const NOT_HERE: StatusName = "UNIMPLEMENTED";

/**
 * Looks after a gRPC server: handlers with deadline and context, health, reflection, and a drain that loses no call.
 *
 * @example
 * ```ts
 * import { checkHealth, GrpcChannelManager, GrpcServerManager } from "@steward/grpc";
 * await using server = await new GrpcServerManager({ services: [], port: 0 }).start();
 * await using channel = await new GrpcChannelManager({ address: server.client.address }).start();
 * console.log(await checkHealth(channel.client)); // => SERVING
 * ```
 */
export class GrpcServerManager extends Manager<GrpcServer> {
  readonly #options: CheckedServerOptions;
  readonly #guard: Guard;
  readonly #server: GrpcServer;
  readonly #health: HealthService;
  #listener: Listener | undefined;
  #draining = new AbortController();
  #port = 0;
  #isReflecting = false;
  readonly #calls = new Set<ServedCall>();
  readonly #limited = new WeakSet<object>();
  /** Connections whose peer took back too many calls. */
  #resetFloods = 0;

  /** @throws {OPTIONS_INVALID} listing every problem. */
  constructor(options: GrpcServerOptions, context: ManagerContext = {}) {
    super("grpc-server", context);
    const { maxConcurrent, maxPending, services } = (this.#options = checkOptions(
      this.name,
      grpcServerSchema,
      options,
    ));
    this.#guard = new Guard({ resource: this.name, clock: this.clock, maxConcurrent, maxPending });
    this.#health = new HealthService();
    this.#server = new GrpcServer({
      resource: this.name,
      options: this.#serverOptions(),
      place: () => ({ port: this.#port, address: this.#port === 0 ? "" : `${this.#options.host}:${this.#port}` }),
      guarded: (service) => this.#guarded(service),
      hearing: (definition) => hearAnswers(this.#options.onError, definition),
      added: (definition) => this.#health.add(nameOf(definition)),
      setHealth: (status, service) => this.#health.set(service, status),
    });
    for (const service of services) this.#server.addService(service.definition, service);
    this.#server.addService(healthService, this.#health.methods);
  }

  get client(): GrpcServer {
    return this.#server;
  }

  protected override async onStart(): Promise<void> {
    const server = this.#server;
    const { reflection } = this.#options;
    this.#draining = new AbortController();
    this.#health.begin();
    if (reflection !== undefined && !this.#isReflecting) {
      const { ReflectionService } = await import("@grpc/reflection");
      new ReflectionService({ ...reflection, ...healthPackage }).addToServer(server);
      this.#isReflecting = true;
    }
    const { host, port, maxStreamsPerConnection: burst, maxResetsPerSecond: perSecond } = this.#options;
    this.#listener = await Listener.listen(this.clock, server, this.#options).catch((cause: Error) => {
      throw this.#notListening(`${host.includes(":") ? `[${host}]` : host}:${port}`, cause);
    });
    this.#port = this.#listener.port;
    for (const http2 of http2ServersOf(server)) {
      if (this.#limited.has(http2)) continue; // one of a connection injector, which stays over a stop
      this.#limited.add(http2);
      limitResets(http2, { burst, perSecond }, this.clock, () => this.#resetFloods++);
    }
  }

  #serverOptions(): ServerOptions {
    const { serverOptions, interceptors, maxLifetimeMs, ...limits } = this.#options;
    return {
      // What it keeps of a server and its connections stays until the process ends.
      "grpc.enable_channelz": 0,
      ...serverOptions,
      interceptors: [...interceptors],
      "grpc.max_concurrent_streams": limits.maxStreamsPerConnection,
      "grpc.max_receive_message_length": limits.maxReceiveBytes,
      "grpc.keepalive_time_ms": limits.keepAliveMs,
      "grpc.keepalive_timeout_ms": limits.keepAliveTimeoutMs,
      ...(maxLifetimeMs === undefined ? {} : { "grpc.max_connection_age_ms": maxLifetimeMs }),
    };
  }

  #guarded({ definition, handlers }: GrpcService): UntypedServiceImplementation {
    const { timeoutMs, onError } = this.#options;
    const draining = (): AbortSignal => this.#draining.signal;
    const { name: resource, clock } = this;
    const settings = { calls: this.#calls, resource, clock, guard: this.#guard, timeoutMs, draining, onError };
    const missing =
      (path: string): AnyHandler =>
      () => {
        throw new GrpcStatusError(NOT_HERE, `${path} is not implemented here`);
      };
    return Object.fromEntries(
      Object.entries(definition).map(([name, method]) => [
        name,
        dispatcher(settings, method, handlers.get(name) ?? missing(method.path)),
      ]),
    );
  }

  #notListening(where: string, cause: Error): StewardError {
    const message = `${this.name}: cannot listen on ${where}: ${describeError(cause)}`;
    return new StewardError("GRPC_LISTEN_FAILED", message, { resource: this.name, cause });
  }

  /** Whether the port takes connections. */
  protected override onProbe(signal: AbortSignal): Promise<void> {
    const { host } = this.#options;
    return new Promise((resolve, reject) => {
      const socket = connect({
        port: this.#port,
        host: host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host,
        signal,
      });
      socket.once("connect", () => {
        socket.destroy();
        resolve();
      });
      socket.once("error", reject);
    });
  }

  /** Says that it does not serve any more, sends GOAWAY on all connections, and waits for the calls on them. */
  protected override async onDrain(): Promise<void> {
    if (this.#listener === undefined) return;
    this.#announceEnd();
    await this.#listener.drain();
  }

  #announceEnd(): void {
    this.#health.drain();
    this.#draining.abort(
      new StewardError("RESOURCE_UNAVAILABLE", `${this.name}: draining`, { resource: this.name, retryable: true }),
    );
  }

  /** Ends what a drain has left, by force. */
  protected override async onStop(signal: AbortSignal): Promise<void> {
    const listener = this.#listener;
    if (listener === undefined) return;
    this.#announceEnd();
    await Promise.race([listener.drain(), aborted(signal)]);
    // First, or they would get the places of those that end.
    this.#guard.rejectPending(this.refusal());
    for (const call of this.#calls) call.end();
    await listener.end();
    this.#listener = undefined;
    this.#port = 0;
  }

  protected override guards(): Iterable<Guard> {
    return [this.#guard];
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    return {
      port: this.#port,
      max: this.#options.maxConcurrent,
      resetFloods: this.#resetFloods,
      ...this.#guard.stats(),
    };
  }
}

/**
 * Defines a gRPC server. It needs what its handlers use, so it starts last and drains first.
 *
 * @example
 * ```ts
 * import { grpcServer } from "@steward/grpc";
 * const server = grpcServer("api", { services: [], host: "0.0.0.0", port: 50051 });
 * console.log(server.name); // => api
 * ```
 */
export const grpcServer: DriverFactory<GrpcServerOptions, GrpcServer> = defineDriver({
  kind: "grpc-server",
  schema: grpcServerSchema,
  create: (options, context) => new GrpcServerManager(options, context),
  settings: { restart: "stop-first", tags: ["grpc"] },
});
