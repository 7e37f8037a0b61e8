import { channel } from "node:diagnostics_channel";
import { currentContext } from "./context.ts";
import type { BreakerState } from "./guard/breaker-state.ts";
import type { HealthStatus } from "./health/status.ts";
import type { Phase } from "./lifecycle/phase.ts";
import type { CallBegin, CallEvent } from "./trace/call-event.ts";
import type { RequestEvent } from "./trace/request-event.ts";

/** Names of all `node:diagnostics_channel` channels that Steward publishes to. They cost nothing unheard. */
export const CHANNELS = {
  /** A resource went from one phase to another: {@link StateEvent}. */
  state: "steward:resource:state",
  /** A probe ended: {@link ProbeEvent}. */
  probe: "steward:resource:probe",
  /** A guarded call begins: {@link CallBegin}. */
  callBegin: "steward:resource:call-begin",
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
  /** A key or keyset was changed, here or elsewhere: {@link KeyEvent}. */
  key: "steward:crypto:key",
  /** A key was used: {@link KeyUseEvent}. */
  keyUse: "steward:crypto:use",
  /** Somebody signed in or out, was refused, or lost a session: {@link AuthEvent}. */
  auth: "steward:auth",
  /** An error reached a place where only we could catch it: {@link UnhandledEvent}. */
  unhandled: "steward:unhandled",
  /** A server that does not speak HTTP/1 got a request or a connection: {@link ServingEvent}. */
  serving: "steward:server:serving",
  /** A server got a request over HTTP, and once more when its response is closed: {@link RequestEvent}. */
  request: "steward:server:request",
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

/** What was done to a key or keyset. */
export type KeyOperation =
  | "created"
  | "added"
  | "imported"
  | "promoted"
  | "disabled"
  | "enabled"
  | "destroyed"
  | "reserved"
  | "rewrapped"
  | "upgraded"
  | "loaded";

/** A key or keyset was changed, here or elsewhere (`loaded`). Never carries key material. */
export interface KeyEvent {
  /** Name of the crypto resource. */
  readonly resource: string;
  readonly keyset: string;
  readonly operation: KeyOperation;
  /** The key concerned; `undefined` where it is the keyset as a whole. */
  readonly keyId: number | undefined;
  readonly revision: number;
  /** When, in ms since 1970. */
  readonly atMs: number;
}

/** A key was used. Carries neither data nor associated data. */
export interface KeyUseEvent {
  /** Name of the crypto resource. */
  readonly resource: string;
  readonly keyset: string;
  readonly operation: "encrypt" | "decrypt" | "sign" | "verify";
  /** The key concerned; `undefined` where the message named none. */
  readonly keyId: number | undefined;
  /** Code of the error it ended with; `undefined` when it succeeded. */
  readonly code: string | undefined;
}

/** Something happened to the sign-in of a user or a service. Carries no password, token or session id. */
export interface AuthEvent {
  /** Name of the resource that decided it. */
  readonly resource: string;
  /** What, such as `sign-in`, `sign-out`, `refresh`, `revoke` or `password-change`. */
  readonly operation: string;
  /** Id of the user or service, as far as it is known. */
  readonly subject: string | undefined;
  readonly outcome: "success" | "failure" | "denied";
  /** Why it was not a success, for operators. */
  readonly reason: string | undefined;
}

/** An error of code of the app that no one handled. Callers have got a fixed sentence; this is for operators. */
export interface UnhandledEvent {
  /** What it came out of: a request, work after its answer, a socket, a call of gRPC, or the release of what these used. */
  readonly source: "request" | "task" | "socket" | "rpc" | "release";
  /** Name of the task or the method, where there is one. */
  readonly name: string | undefined;
  readonly error: unknown;
  readonly requestId: string | undefined;
}

const state = channel(CHANNELS.state);
const probe = channel(CHANNELS.probe);
const callBegin = channel(CHANNELS.callBegin);
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
const request = channel(CHANNELS.request);
const config = channel(CHANNELS.config);
const auth = channel(CHANNELS.auth);
const key = channel(CHANNELS.key);
const keyUse = channel(CHANNELS.keyUse);
const unhandled = channel(CHANNELS.unhandled);

/** Publishes that a resource changed phase. */
export function publishState(event: StateEvent): void {
  if (state.hasSubscribers) state.publish(event);
}

/** Publishes how a probe ended. */
export function publishProbe(event: ProbeEvent): void {
  if (probe.hasSubscribers) probe.publish(event);
}

/** Whether somebody listens to how guarded calls end; the event is built only then. */
export function callsAreHeard(): boolean {
  return call.hasSubscribers;
}

/** Whether somebody listens to how guarded calls begin; the event is built only then. */
export function callBeginsAreHeard(): boolean {
  return callBegin.hasSubscribers;
}

/** Publishes that a guarded call begins. */
export function publishCallBegin(event: CallBegin): void {
  callBegin.publish(event);
}

/** Publishes how a guarded call ended. */
export function publishCall(event: CallEvent): void {
  call.publish(event);
}

/** Publishes that a circuit breaker changed its state. */
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

/** Publishes that a credential is exposed in transit. */
export function publishExposure(event: ExposureEvent): void {
  if (exposure.hasSubscribers) exposure.publish(event);
}

/** Whether somebody listens to requests; the event is made only then. */
export function requestsAreHeard(): boolean {
  return request.hasSubscribers;
}

/** Publishes that a request has come, or is over. */
export function publishRequest(event: RequestEvent): void {
  request.publish(event);
}

/** Publishes what became of a configuration. */
export function publishConfig(event: ConfigEvent): void {
  if (config.hasSubscribers) config.publish(event);
}

/** Publishes that a server got a request or a connection. Only the first one counts, so it costs next to nothing. */
export function publishServing(resource: string): void {
  if (serving.hasSubscribers) serving.publish({ resource } satisfies ServingEvent);
}

/**
 * Publishes an error that no one handled.
 * @param about Name of the task or the method, and the request where the context does not know it.
 */
export function publishUnhandled(
  source: UnhandledEvent["source"],
  error: unknown,
  { name, requestId = currentContext()?.requestId }: Partial<Pick<UnhandledEvent, "name" | "requestId">> = {},
): void {
  if (unhandled.hasSubscribers) unhandled.publish({ source, name, error, requestId } satisfies UnhandledEvent);
}

/** Publishes what happened to a sign-in. */
export function publishAuth(event: AuthEvent): void {
  if (auth.hasSubscribers) auth.publish(event);
}

/** Publishes what became of a key. */
export function publishKey(event: KeyEvent): void {
  if (key.hasSubscribers) key.publish(event);
}

/** Whether somebody listens to uses of keys; the event is built only then. */
export function keyUsesAreHeard(): boolean {
  return keyUse.hasSubscribers;
}

/** Publishes that a key was used. */
export function publishKeyUse(event: KeyUseEvent): void {
  if (keyUse.hasSubscribers) keyUse.publish(event);
}
