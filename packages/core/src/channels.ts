import { channel } from "node:diagnostics_channel";
import type { BreakerState } from "./guard/breaker-state.ts";
import type { HealthStatus } from "./health/status.ts";
import type { Phase } from "./lifecycle/phase.ts";

/** Names of all `node:diagnostics_channel` channels that Steward publishes to. They cost nothing unheard. */
export const CHANNELS = {
  /** A resource went from one phase to another: {@link StateEvent}. */
  state: "steward:resource:state",
  /** A probe ended: {@link ProbeEvent}. */
  probe: "steward:resource:probe",
  /** A guarded call ended: {@link CallEvent}. */
  call: "steward:resource:call",
  /** A circuit breaker changed its state: {@link BreakerEvent}. */
  breaker: "steward:resource:breaker",
  /** A credential travels in plain text, or to a server that is not verified: {@link ExposureEvent}. Once, at start. */
  exposure: "steward:resource:exposure",
  /** Background work ended although nothing had asked it to: {@link BackgroundEvent}. */
  background: "steward:resource:background",
  /** The health of a resource changed: {@link HealthEvent}. */
  health: "steward:resource:health",
  /** A configuration was read anew, refused, or is not as safe as it could be: {@link ConfigEvent}. */
  config: "steward:config",
  /** A restart of a resource began, ended or failed: {@link RestartEvent}. */
  restart: "steward:container:restart",
  /** The shutdown of a container came to its next phase: {@link ShutdownEvent}. */
  shutdown: "steward:container:shutdown",
  /** A server that does not speak HTTP/1 got a request or a connection: {@link ServingEvent}. */
  serving: "steward:server:serving",
} as const;

/** A resource went from one phase to another. */
export interface StateEvent {
  readonly resource: string;
  readonly from: Phase;
  readonly to: Phase;
  /** Why, when it failed. */
  readonly error: unknown;
}

/** A probe of a resource ended. */
export interface ProbeEvent {
  readonly resource: string;
  readonly durationMs: number;
  /** Why it failed; `undefined` when the resource answered. */
  readonly error: unknown;
}

/** A guarded call ended. */
export interface CallEvent {
  readonly resource: string;
  /** From the request for it to its end, time in the queue included. */
  readonly durationMs: number;
  /** Time in the queue. */
  readonly queuedMs: number;
  /** W3C `traceparent` of the work that made it; it ends in callbacks of others, where the context is theirs. */
  readonly traceContext: string | undefined;
  /** Why it failed; `undefined` when it succeeded. */
  readonly error: unknown;
}

/** A circuit breaker changed its state. */
export interface BreakerEvent {
  readonly resource: string;
  /** What it stands before: the resource, or one of several addresses of it. */
  readonly subject: string;
  readonly from: BreakerState;
  readonly to: BreakerState;
  /** Why it opened last. */
  readonly reason: string;
}

/** What every event of a container carries. */
export interface ContainerEvent {
  /** Name of the container. */
  readonly container: string;
  /** When it happened, in ms since 1970. */
  readonly time: number;
  /** Which published event of this container it is, from 1 on: the order of events of several channels. */
  readonly sequence: number;
}

/** The background work of a resource ended, by a return or an error, although nothing had asked it to. */
export interface BackgroundEvent extends ContainerEvent {
  readonly resource: string;
  /** A `BACKGROUND_ENDED` whose `cause` is what the work threw; without a cause when it returned. */
  readonly error: Error;
  /** In how many ms it runs again; `undefined` when it has ended too often and does not. */
  readonly againInMs: number | undefined;
}

/** The health of a resource changed: its own, whatever it needs. */
export interface HealthEvent extends ContainerEvent {
  readonly resource: string;
  readonly from: HealthStatus;
  readonly to: HealthStatus;
  /** Why it is not healthy; `undefined` when it is. It may name hosts, so it is for operators. */
  readonly reason: string | undefined;
}

/** A resource and what holds it is replaced by new instances. */
export interface RestartEvent extends ContainerEvent {
  /** The resource whose restart was asked for. */
  readonly resource: string;
  /** `ended`: the new instances are in use, and the old ones have stopped. */
  readonly step: "began" | "ended" | "failed";
  /** Time since it began, in ms. */
  readonly durationMs: number;
  /** Why it failed. */
  readonly error: unknown;
}

/** A container stops. */
export interface ShutdownEvent extends ContainerEvent {
  /** `announced`: it is not ready any more, and takes work until it is `draining`. Only `runMain` announces. */
  readonly phase: "announced" | "draining" | "stopping" | "stopped";
  /** Time since the first phase, in ms. */
  readonly durationMs: number;
  /** What failed or hung, once it has `stopped`. */
  readonly error: unknown;
}

/** Events of a container, by the key of their channel in {@link CHANNELS}. */
export interface ContainerEvents {
  readonly background: BackgroundEvent;
  readonly health: HealthEvent;
  readonly restart: RestartEvent;
  readonly shutdown: ShutdownEvent;
}

/** A credential of a resource travels where others on the network could take it. */
export interface ExposureEvent {
  readonly resource: string;
  /** What leads where, without secrets. */
  readonly what: string;
  readonly how: "plaintext" | "unverified";
  /** The option that settles it. */
  readonly remedy: string;
  /** All of it in one line, for logs. */
  readonly message: string;
}

/**
 * A server got a request or a connection. Node itself announces those of HTTP/1; a server of gRPC, WebSocket or HTTP/2
 * publishes this. `runMain` takes work for a while after SIGTERM only where something was served.
 */
export interface ServingEvent {
  readonly resource: string;
}

/** A configuration was read anew, refused, or is not as safe as it could be. */
export interface ConfigEvent {
  readonly resource: string;
  /** `changed`: the next generation is in use. `refused`: the old one stays. `warning`: it works, and should be looked at. */
  readonly kind: "changed" | "refused" | "warning";
  /** The generation in use, from 1 on. */
  readonly generation: number;
  /** What has changed, by path; empty unless `changed`. */
  readonly changes: readonly string[];
  /** All of it in words, without values. */
  readonly message: string;
}

const state = channel(CHANNELS.state);
const probe = channel(CHANNELS.probe);
const call = channel(CHANNELS.call);
const breaker = channel(CHANNELS.breaker);
const exposure = channel(CHANNELS.exposure);
const ofContainers = {
  background: channel(CHANNELS.background),
  health: channel(CHANNELS.health),
  restart: channel(CHANNELS.restart),
  shutdown: channel(CHANNELS.shutdown),
};
const serving = channel(CHANNELS.serving);
const config = channel(CHANNELS.config);

/** Tells whoever listens that a resource changed phase. */
export function publishState(event: StateEvent): void {
  if (state.hasSubscribers) state.publish(event);
}

/** Tells whoever listens how a probe ended. */
export function publishProbe(event: ProbeEvent): void {
  if (probe.hasSubscribers) probe.publish(event);
}

/** Whether somebody listens to how guarded calls end; the event is built only then. */
export function callsAreHeard(): boolean {
  return call.hasSubscribers;
}

/** Tells whoever listens how a guarded call ended. */
export function publishCall(event: CallEvent): void {
  call.publish(event);
}

/** Tells whoever listens that a circuit breaker changed its state. */
export function publishBreaker(event: BreakerEvent): void {
  if (breaker.hasSubscribers) breaker.publish(event);
}

/** Whether events of a container of this kind have a subscriber; they are made only then. For containers. */
export function isHeard(kind: keyof ContainerEvents): boolean {
  return ofContainers[kind].hasSubscribers;
}

/** Publishes an event of a container. For containers. */
export function publishEvent<K extends keyof ContainerEvents>(kind: K, event: ContainerEvents[K]): void {
  if (isHeard(kind)) ofContainers[kind].publish(event);
}

/** Tells whoever listens that a credential is exposed on its way. */
export function publishExposure(event: ExposureEvent): void {
  if (exposure.hasSubscribers) exposure.publish(event);
}

/** Publishes what became of a configuration. */
export function publishConfig(event: ConfigEvent): void {
  if (config.hasSubscribers) config.publish(event);
}

/** Publishes that a server got a request or a connection. Only the first one counts, so it costs next to nothing. */
export function publishServing(resource: string): void {
  if (serving.hasSubscribers) serving.publish({ resource } satisfies ServingEvent);
}
