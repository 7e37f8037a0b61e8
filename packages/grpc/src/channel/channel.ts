import {
  Client,
  connectivityState,
  credentials,
  type CallInvocationTransformer,
  type ChannelCredentials,
  type ChannelInterface,
  type Interceptor,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import { notForUsers } from "@steward/core/driver";
import { ManagedCall } from "./call.ts";
import { assertDeadline } from "./call-options.ts";
import type { CallOwner, ChannelCall, MethodKind } from "./types.ts";

type Create = Parameters<ChannelInterface["createCall"]>;
type Watch = Parameters<ChannelInterface["watchConnectivityState"]>;

/** What a channel over links must be given. */
export interface ManagedChannelSettings {
  /** Where it leads now. */
  readonly address: () => string;
  readonly owner: CallOwner;
  /** The current channel, or `undefined` while there is none. */
  readonly channel: () => ChannelInterface | undefined;
}

/** A channel of grpc-js that keeps its identity while those below it come and go. Only its manager closes it. */
export class ManagedChannel implements ChannelInterface {
  readonly #settings: ManagedChannelSettings;
  readonly #owner: CallOwner;

  constructor(settings: ManagedChannelSettings) {
    this.#settings = settings;
    this.#owner = settings.owner;
  }

  createCall(
    path: string,
    deadline: Date | number,
    host: string | null | undefined,
    parent: Create[3],
    flags: Create[4],
  ): ChannelCall {
    assertDeadline(this.#owner.resource, deadline);
    return new ManagedCall(this.#owner, path, deadline, host, parent, flags);
  }

  /** @throws {LIFECYCLE_CONFLICT} always: others use it too. */
  close(): never {
    throw notForUsers(this.#owner.resource, "close");
  }

  getTarget(): string {
    return this.#settings.address();
  }

  getConnectivityState(tryToConnect: boolean): connectivityState {
    return this.#settings.channel()?.getConnectivityState(tryToConnect) ?? connectivityState.SHUTDOWN;
  }

  watchConnectivityState(...watch: Watch): void {
    const channel = this.#settings.channel();
    if (channel === undefined) throw new Error("the channel is not started");
    channel.watchConnectivityState(...watch);
  }

  getChannelzRef(): ReturnType<ChannelInterface["getChannelzRef"]> {
    const channel = this.#settings.channel();
    if (channel === undefined) throw new Error("the channel is not started");
    return channel.getChannelzRef();
  }
}

/** What the client of a service is made with here. */
export interface ServiceOptions {
  channelOverride?: ChannelInterface;
  interceptors?: Interceptor[];
  callInvocationTransformer?: CallInvocationTransformer;
}

/** A class of clients of one service: generated, or made by `makeClientConstructor`. */
export interface ServiceConstructor<Service extends Client> {
  new (address: string, credentials: ChannelCredentials, options?: ServiceOptions): Service;
  readonly service: ServiceDefinition;
}

/** What is known of the methods of the services in use. */
export class MethodKinds {
  readonly #kinds = new Map<string, MethodKind>();
  readonly #repeatable = new Set<string>();

  /** @param named Methods, or whole services, that the channel itself may call again. */
  constructor(named: readonly string[]) {
    for (const name of named) this.#repeatable.add(`/${name}`);
  }

  learn(service: ServiceDefinition): void {
    for (const method of Object.values(service)) {
      const { path, requestStream, responseStream } = method;
      this.#kinds.set(path, { requestStream, responseStream });
      if (isIdempotent(method)) this.#repeatable.add(path);
    }
  }

  of(path: string): MethodKind | undefined {
    return this.#kinds.get(path);
  }

  isRepeatable(path: string): boolean {
    return this.#repeatable.has(path) || this.#repeatable.has(path.slice(0, path.lastIndexOf("/")));
  }
}

/** By `option idempotency_level` of its `.proto` file, which `loadProto` keeps and the types of grpc-js do not name. */
function isIdempotent(method: object): boolean {
  const { idempotency_level: level } = (method as { options?: { idempotency_level?: unknown } }).options ?? {};
  return level === "IDEMPOTENT" || level === "NO_SIDE_EFFECTS";
}

/** A client of grpc-js over a channel that is looked after. It makes the clients of services that share the channel. */
export class GrpcChannel extends Client {
  readonly #channel: ChannelInterface;
  readonly #kinds: MethodKinds;
  readonly #options: ServiceOptions;
  readonly #services = new Map<object, Client>();

  /** @internal Made by its manager. */
  constructor(
    channel: ChannelInterface,
    kinds: MethodKinds,
    interceptors: readonly Interceptor[],
    callInvocationTransformer: CallInvocationTransformer,
  ) {
    const options = { channelOverride: channel, interceptors: [...interceptors], callInvocationTransformer };
    super(channel.getTarget(), credentials.createInsecure(), options);
    this.#options = options;
    this.#channel = channel;
    this.#kinds = kinds;
  }

  /** The client of a service over this channel: a real one of that class, the same one each time. */
  as<Service extends Client>(constructor: ServiceConstructor<Service>): Service {
    const known = this.#services.get(constructor);
    if (known !== undefined) return known as Service; // stored below by the class that made it
    this.#kinds.learn(constructor.service);
    const made = new constructor(this.#channel.getTarget(), credentials.createInsecure(), this.#options);
    this.#services.set(constructor, made);
    return made;
  }
}
