import type { Client } from "@grpc/grpc-js";
import { Guard, type Definition, type MetricSample } from "@steward/core";
import {
  aborted,
  checkOptions,
  Manager,
  defineDriver,
  type DriverFactory,
  type ManagedSettings,
  type ManagerContext,
} from "@steward/core/driver";
import { callChecker } from "./channel/call-options.ts";
import { GrpcChannel, ManagedChannel, MethodKinds } from "./channel/channel.ts";
import type { CarriedCall, Link } from "./channel/link.ts";
import { Links } from "./channel/links.ts";
import { Dressing, makeChannel } from "./channel/target.ts";
import { probe } from "./health.ts";
import { judge } from "./status.ts";
import { grpcChannelSchema, grpcTlsSchema, type CheckedGrpcOptions, type GrpcChannelOptions } from "./options.ts";

/**
 * Looks after a gRPC channel: connects within a bound, replaces what went silent, gives every call a deadline, and
 * ends what is in flight when it stops.
 *
 * @example
 * ```ts
 * import { checkHealth, GrpcChannelManager } from "@steward/grpc";
 * import { testGrpcServer } from "@steward/grpc/testing";
 * await using server = await testGrpcServer().start();
 * await using channel = await new GrpcChannelManager({ address: server.client.address, timeoutMs: 5_000 }).start();
 * console.log(await checkHealth(channel.client)); // => SERVING
 * ```
 */
export class GrpcChannelManager<Service extends Client = GrpcChannel> extends Manager<Service> {
  /** The client without methods; `as` makes clients of services that share the channel. */
  readonly channel: GrpcChannel;
  /** Where its next channels lead. */
  protected address: string;
  readonly #options: CheckedGrpcOptions;
  readonly #guard: Guard;
  readonly #client: Service;
  #links: Links | undefined;
  readonly #unsent = new Set<CarriedCall>();
  /** Sums of earlier runs. */
  #past = { reconnects: 0, retired: 0 };

  /** @throws {OPTIONS_INVALID} listing every problem. */
  constructor(options: GrpcChannelOptions<Service>, context: ManagerContext = {}) {
    super("grpc", context);
    const checked = (this.#options = checkOptions(this.name, grpcChannelSchema, options));
    this.address = checked.address ?? checked.client?.getChannel().getTarget() ?? "";
    const { name: resource, clock } = this;
    const { maxConcurrent, maxPending, breaker = {}, timeoutMs, idleTimeoutMs } = checked;
    const guard = (this.#guard = new Guard({
      ...this.guardBasis(),
      maxConcurrent,
      maxPending,
      breaker,
      judge,
    }));
    const kinds = new MethodKinds([checked.retry, checked.hedging].flatMap((policy) => policy?.methods ?? []));
    const dressing = new Dressing(resource, checked);
    const owner = {
      resource,
      clock,
      guard,
      timeoutMs,
      idleTimeoutMs,
      hasAttempts: (checked.retry ?? checked.hedging ?? checked.serviceConfig ?? checked.client) !== undefined,
      unsent: this.#unsent,
      kindOf: kinds.of.bind(kinds),
      isRepeatable: kinds.isRepeatable.bind(kinds),
      dress: dressing.dress.bind(dressing),
      link: () => this.#link(),
      address: () => this.address,
    };
    const channel = new ManagedChannel({
      address: () => this.address,
      owner,
      channel: () => this.#links?.current.channel,
    });
    this.channel = new GrpcChannel(channel, kinds, checked.interceptors, callChecker(resource));
    // Without a class of its own, `Service` is GrpcChannel.
    this.#client =
      options.service === undefined ? (this.channel as Client as Service) : this.channel.as(options.service);
  }

  get client(): Service {
    return this.#client;
  }

  #link(): Link {
    if (this.#links === undefined) throw this.refusal();
    return this.#links.current;
  }

  /** Ready once the server has answered a health check. */
  protected override async onStart(signal: AbortSignal): Promise<void> {
    const links = (this.#links = await this.#connect());
    if (signal.aborted) return;
    const { healthService, connectTimeoutMs } = this.#options;
    await probe(this.name, links.current.client, healthService, { timeoutMs: connectTimeoutMs, signal });
  }

  async #connect(): Promise<Links> {
    const { client, connectTimeoutMs, silenceMs } = this.#options;
    const { name: resource, clock } = this;
    const watched = { resource, clock, connectTimeoutMs, silenceMs };
    if (client !== undefined) return new Links({ ...watched, owned: false, makeChannel: () => client.getChannel() });
    const tls = await this.#tls();
    return new Links({ ...watched, owned: true, makeChannel: () => makeChannel(this.address, this.#options, tls) });
  }

  async #tls(): Promise<Parameters<typeof makeChannel>[2]> {
    const { tls = false } = this.#options;
    return typeof tls === "function" ? checkOptions(this.name, grpcTlsSchema, await tls()) : tls;
  }

  protected override async onProbe(signal: AbortSignal): Promise<void> {
    const link = this.#link();
    const since = this.clock.now();
    const { healthService, silenceMs } = this.#options;
    try {
      await probe(this.name, link.client, healthService, { signal });
      link.heard(this.clock.now());
    } catch (error) {
      // Calls would meet the same silence.
      const silent = this.clock.now() - Math.max(since, link.heardAt) >= silenceMs;
      if (signal.aborted && silent && link.isReady) link.suspect();
      // One that was replaced meanwhile says nothing about its successor.
      if (signal.aborted || link === this.#links?.current) throw error;
      await probe(this.name, this.#link().client, healthService, { signal });
    }
  }

  protected override onDrain(): Promise<void> {
    return this.#guard.idle();
  }

  /** Ends streams, lets calls finish until `signal` aborts, then ends them too: every one hears of it. */
  protected override async onStop(signal: AbortSignal): Promise<void> {
    const links = this.#links;
    if (links === undefined) return;
    this.#guard.rejectPending(this.refusal());
    links.endStreams(this.interruption());
    await Promise.race([this.#guard.idle(), aborted(signal)]);
    this.#links = undefined;
    for (const call of this.#unsent) call.fail(this.refusal());
    links.close(this.interruption());
    const { reconnects, retired } = links.counts;
    this.#past = { reconnects: this.#past.reconnects + reconnects, retired: this.#past.retired + retired };
  }

  /** Makes a new channel, with certificates asked for anew; calls in flight finish on the old one, within 30 s. */
  protected override async replace(): Promise<void> {
    if (this.#options.client !== undefined) return;
    const tls = await this.#tls();
    this.#links?.renew(() => makeChannel(this.address, this.#options, tls));
  }

  protected override guards(): Iterable<Guard> {
    return [this.#guard];
  }

  protected override *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    const { reconnects } = this.#counts();
    const { unknown } = this.#guard.stats();
    yield { name: "grpc_channel_rebuilds_total", kind: "counter", unit: "{channel}", attributes, value: reconnects };
    yield { name: "grpc_calls_lost_total", kind: "counter", unit: "{request}", attributes, value: unknown };
  }

  #counts(): Links["counts"] {
    const { reconnects, retired, draining } = this.#links?.counts ?? { reconnects: 0, retired: 0, draining: 0 };
    return { reconnects: this.#past.reconnects + reconnects, retired: this.#past.retired + retired, draining };
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    const { maxConcurrent } = this.#options;
    return {
      size: this.#links?.current.isReady === true ? 1 : 0,
      max: maxConcurrent,
      ...this.#guard.stats(),
      ...this.#counts(),
    };
  }
}

/** Defines a gRPC channel: with `service`, its value is a client of that class. */
export interface GrpcChannelFactory extends DriverFactory<GrpcChannelOptions, GrpcChannel> {
  <Service extends Client, E extends boolean | undefined = undefined>(
    name: string,
    given: GrpcChannelOptions<Service> & Required<Pick<GrpcChannelOptions<Service>, "service">> & ManagedSettings<E>,
  ): Definition<Service, [E] extends [undefined] ? "application" : "application?">;
}

/**
 * Defines a gRPC channel that is looked after.
 *
 * @example
 * ```ts
 * import { grpcChannel } from "@steward/grpc";
 * const renderer = grpcChannel("renderer", { address: "renderer:50051", timeoutMs: 5_000 });
 * console.log(renderer.name); // => renderer
 * ```
 */
export const grpcChannel: GrpcChannelFactory = defineDriver<GrpcChannelOptions, GrpcChannel>({
  kind: "grpc",
  schema: grpcChannelSchema,
  create: (options, context) => new GrpcChannelManager(options as GrpcChannelOptions<GrpcChannel>, context), // the class of a service says what its value is
  // What may be retried is listed by name, so retries are no matter of a default.
  inherit: ({ timeoutMs, breaker }) => ({ timeoutMs, breaker }),
  settings: { readiness: "startup", tags: ["grpc"] },
}) as GrpcChannelFactory; // one implementation for all forms
