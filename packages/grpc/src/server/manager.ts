import { connect } from "node:net";
import { Server, ServerCredentials, type ServiceDefinition } from "@grpc/grpc-js";
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
import { healthPackage, healthService, type ServingStatus } from "../proto/codec.ts";
import { GrpcStatusError, type StatusName } from "../status.ts";
import { dispatcher } from "./dispatch.ts";
import { HealthService } from "./health-service.ts";
import type { AnyHandler } from "./handlers.ts";
import { http2ServersOf, limitResets } from "./resets.ts";
import { grpcServerSchema, type CheckedServerOptions, type GrpcServerOptions } from "./options.ts";

const NOT_HERE: StatusName = "UNIMPLEMENTED";

/** A gRPC server that is looked after, as its users see it. */
export interface GrpcServer {
  /** `host:port` where it listens; empty while it does not. */
  readonly address: string;
  /** 0 while it does not listen. */
  readonly port: number;
  /** Says by `grpc.health.v1` how the server, or one of its services, is; clients that watch are notified. */
  setHealth(status: ServingStatus, service?: string): void;
}

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
  readonly #facade: GrpcServer;
  #server: Server | undefined;
  #health: HealthService | undefined;
  #draining = new AbortController();
  #port = 0;
  /** Connections whose peer took back too many calls. */
  #resetFloods = 0;

  /** @throws {OPTIONS_INVALID} listing every problem. */
  constructor(options: GrpcServerOptions, context: ManagerContext = {}) {
    super("grpc-server", context);
    const { maxConcurrent, maxPending } = (this.#options = checkOptions(this.name, grpcServerSchema, options));
    this.#guard = new Guard({ resource: this.name, clock: this.clock, maxConcurrent, maxPending });
    const address = (): string => (this.#port === 0 ? "" : `${this.#options.host}:${this.#port}`);
    const port = (): number => this.#port;
    this.#facade = {
      get address() {
        return address();
      },
      get port() {
        return port();
      },
      setHealth: (status, service = "") => this.#health?.set(service, status),
    };
  }

  get client(): GrpcServer {
    return this.#facade;
  }

  protected override async onStart(): Promise<void> {
    this.#draining = new AbortController();
    const server = (this.#server = this.#make());
    const { services, reflection } = this.#options;
    for (const { definition, handlers } of services) server.addService(definition, this.#methods(definition, handlers));
    this.#health = new HealthService(services.map(({ definition }) => nameOf(definition)));
    server.addService(healthService, this.#health.methods);
    if (reflection !== undefined) {
      const { ReflectionService } = await import("@grpc/reflection");
      new ReflectionService({ ...reflection, ...healthPackage }).addToServer(server);
    }
    await this.#listen(server);
    const { maxStreamsPerConnection: burst, maxResetsPerSecond: perSecond } = this.#options;
    for (const http2 of http2ServersOf(server))
      limitResets(http2, { burst, perSecond }, this.clock, () => this.#resetFloods++);
  }

  #make(): Server {
    const { serverOptions, interceptors, maxLifetimeMs, ...limits } = this.#options;
    return new Server({
      ...serverOptions,
      interceptors: [...interceptors],
      "grpc.max_concurrent_streams": limits.maxStreamsPerConnection,
      "grpc.max_receive_message_length": limits.maxReceiveBytes,
      "grpc.keepalive_time_ms": limits.keepAliveMs,
      "grpc.keepalive_timeout_ms": limits.keepAliveTimeoutMs,
      ...(maxLifetimeMs === undefined ? {} : { "grpc.max_connection_age_ms": maxLifetimeMs }),
    });
  }

  #methods(
    definition: ServiceDefinition,
    handlers: ReadonlyMap<string, AnyHandler>,
  ): Record<string, ReturnType<typeof dispatcher>> {
    const { timeoutMs, onError } = this.#options;
    const settings = {
      resource: this.name,
      clock: this.clock,
      guard: this.#guard,
      timeoutMs,
      draining: this.#draining.signal,
      onError,
    };
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

  async #listen(server: Server): Promise<void> {
    const { host, port, tls } = this.#options;
    const pairs = tls === undefined ? [] : [{ private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) }];
    const ca = tls?.ca === undefined ? null : Buffer.from(tls.ca);
    const credentials =
      tls === undefined ? ServerCredentials.createInsecure() : ServerCredentials.createSsl(ca, pairs, ca !== null);
    const where = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    this.#port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(where, credentials, (error, bound) =>
        error === null ? resolve(bound) : reject(this.#notListening(where, error)),
      );
    });
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
    const server = this.#server;
    if (server === undefined) return;
    this.#leave();
    await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  }

  #leave(): void {
    this.#health?.drain();
    this.#draining.abort(
      new StewardError("RESOURCE_UNAVAILABLE", `${this.name}: draining`, { resource: this.name, retryable: true }),
    );
  }

  /** Ends what a drain has left, by force. */
  protected override async onStop(signal: AbortSignal): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#leave();
    await Promise.race([new Promise<void>((resolve) => server.tryShutdown(() => resolve())), aborted(signal)]);
    server.forceShutdown();
    this.#server = undefined;
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

/** `package.Service`, from the path of any of its methods. */
function nameOf(definition: ServiceDefinition): string {
  return Object.values(definition)[0]?.path.split("/")[1] ?? "";
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
