import { Server, type ServerOptions, type ServiceDefinition, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { assertShape, notForUsers, oneOf, required, shape, text, type Shape } from "@steward/core/driver";
import type { ServingStatus } from "../proto/codec.ts";
import type { GrpcService } from "./handlers.ts";

interface HealthArguments {
  readonly status: ServingStatus;
  readonly service: string;
}

const healthShape: Shape<HealthArguments> = /* @__PURE__ */ shape<HealthArguments>(() => ({
  status: required(oneOf("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")),
  service: text(true),
}));

/** What a server needs of its manager. */
export interface GrpcServerDeps {
  readonly resource: string;
  readonly options: ServerOptions;
  /** Where it listens now. */
  readonly place: () => { readonly address: string; readonly port: number };
  /** Handlers of ours as grpc-js calls them: within the guard, the deadline and the context of the caller. */
  readonly guarded: (service: GrpcService) => UntypedServiceImplementation;
  /** The same service; that an answer cannot be sent is reported. */
  readonly hearing: (service: ServiceDefinition) => ServiceDefinition;
  readonly setHealth: (status: ServingStatus, service: string) => void;
  /** A service is served from now on. */
  readonly added: (service: ServiceDefinition) => void;
}

/**
 * A server of grpc-js that is looked after: the same one over every stop and start. Its manager listens, drains and ends
 * it; what `implement` made runs within the manager's guard, other implementations run as grpc-js runs them.
 */
export class GrpcServer extends Server {
  readonly #deps: GrpcServerDeps;

  /** @internal Servers are made by their manager. */
  constructor(deps: GrpcServerDeps) {
    super(deps.options);
    this.#deps = deps;
  }

  /** `host:port` where it listens; empty while it does not. */
  get address(): string {
    return this.#deps.place().address;
  }

  /** 0 while it does not listen. */
  get port(): number {
    return this.#deps.place().port;
  }

  /**
   * Says by `grpc.health.v1` how the server, or one of its services, is; clients that watch are notified.
   *
   * @throws {OPTIONS_INVALID} for what is no status.
   */
  setHealth(status: ServingStatus, service = ""): void {
    assertShape(`${this.#deps.resource} setHealth()`, healthShape, { status, service });
    this.#deps.setHealth(status, service);
  }

  /** Serves a service too, by handlers of grpc-js or by what `implement` made. */
  override addService(service: ServiceDefinition, implementation: UntypedServiceImplementation | GrpcService): void {
    const { guarded, hearing, added } = this.#deps;
    if (!isGuarded(implementation)) super.addService(service, implementation);
    else super.addService(hearing(service), guarded(implementation));
    added(service);
  }

  /** @throws {LIFECYCLE_CONFLICT} always: its manager listens. */
  override bindAsync(..._args: Parameters<Server["bindAsync"]>): never {
    throw notForUsers(this.#deps.resource, "bindAsync");
  }

  /** @throws {LIFECYCLE_CONFLICT} always: its manager ends it. */
  override tryShutdown(..._args: Parameters<Server["tryShutdown"]>): never {
    throw notForUsers(this.#deps.resource, "tryShutdown");
  }

  /** @throws {LIFECYCLE_CONFLICT} always: its manager ends it. */
  override forceShutdown(): never {
    throw notForUsers(this.#deps.resource, "forceShutdown");
  }
}

function isGuarded(implementation: UntypedServiceImplementation | GrpcService): implementation is GrpcService {
  // What is no object is refused by grpc-js.
  return (
    Object(implementation) === implementation && "handlers" in implementation && implementation.handlers instanceof Map
  );
}
