import { AsyncResource } from "node:async_hooks";
import {
  status as codes,
  type CallCredentials,
  type ChannelInterface,
  type Metadata,
  type StatusObject,
} from "@grpc/grpc-js";
import { currentContext, isStewardError, StewardError, systemClock, type CallAbout } from "@steward/core";
import { describeError, GuardedUse, type Verdict } from "@steward/core/driver";
import { causeOfStatus, cutOff, isCutOff, statusOfRefusal, StatusFailure, verdictOn } from "../status.ts";
import type { CarriedCall, Link } from "./link.ts";
import { SLACK_MS, withDeadline } from "./wire-deadline.ts";
import { placeOf, rpcAttributes } from "./attributes.ts";
import type { CallListener, CallOwner, ChannelCall, MessageContext, MethodKind } from "./types.ts";

type Parent = Parameters<ChannelInterface["createCall"]>[3];
type Flags = Parameters<ChannelInterface["createCall"]>[4];
type AuthContext = ReturnType<ChannelCall["getAuthContext"]>;

const NEVER = Number.POSITIVE_INFINITY;

/** The use of the guard that a call is. Apart from it, because a call of grpc-js has names of its own. */
class CallUse extends GuardedUse {
  readonly #call: ManagedCall;
  #within: AsyncResource | undefined = undefined;

  constructor(call: ManagedCall) {
    super();
    this.#call = call;
  }

  override get operation(): string {
    return this.#call.path;
  }

  override about(): CallAbout {
    return { attributes: this.#call.attributes };
  }

  /** Functions for its metadata, and its callbacks, are its caller's. */
  override waits(): void {
    this.#within = new AsyncResource("steward.rpc", { requireManualDestroy: true });
  }

  protected override begin(): void {
    if (this.#within === undefined) this.#call.begin();
    else this.#within.runInAsyncScope(this.#call.begin, this.#call);
  }

  protected override giveUp(error: unknown): void {
    this.#call.giveUp(error);
  }
}

/**
 * One call: between the client's part of grpc-js above and its channel below.
 *
 * Until it has its place, what the client does is kept; then it goes straight down. Hot code: one look at the clock
 * for what arrives, and nothing is made for a call that its plain form does not need.
 */
export class ManagedCall implements ChannelCall, CallListener, CarriedCall {
  readonly #owner: CallOwner;
  readonly #use: CallUse = new CallUse(this);
  /** Its method: `/package.Service/Method`. */
  readonly path: string;
  /** As its caller asked for it, in ms since 1970. */
  readonly #deadline: Date | number;
  readonly #host: string | null | undefined;
  readonly #parent: Parent;
  readonly #flags: Flags;
  readonly #kind: MethodKind | undefined;
  /** Bound of the whole call, in ms of the clock: asked for by its caller, not the default. */
  #hard = NEVER;
  #requestId: string | undefined;
  #listener: CallListener | undefined;
  #metadata: Metadata | undefined;
  #inner: ChannelCall | undefined;
  #link: Link | undefined;
  #credentials: CallCredentials | undefined;
  #kept: ((call: ChannelCall) => void)[] | undefined;
  #end: StatusObject | undefined;
  #isHeard = false;
  #answered = false;

  constructor(
    owner: CallOwner,
    path: string,
    deadline: Date | number,
    host: string | null | undefined,
    parent: Parent,
    flags: Flags,
  ) {
    this.#owner = owner;
    this.path = path;
    this.#deadline = deadline;
    this.#host = host;
    this.#parent = parent;
    this.#flags = flags;
    this.#kind = owner.kindOf(path);
  }

  start(metadata: Metadata, listener: CallListener): void {
    this.#listener = listener;
    this.#metadata = metadata;
    this.#requestId = currentContext()?.requestId;
    if (this.#end !== undefined) return this.#deliver(this.#end);
    this.#owner.guard.enter(this.#use, { timeoutMs: this.#bound() });
  }

  /** Time until the first answer, in ms from now. Who streams requests may take its time for them. */
  #bound(): number {
    const { clock, timeoutMs } = this.#owner;
    const asked = Number(this.#deadline);
    const outer = currentContext()?.deadline ?? NEVER;
    if (asked === NEVER) {
      this.#hard = outer;
      return this.#kind?.requestStream === true ? NEVER : timeoutMs;
    }
    const leftMs = Math.max(0, asked - clock.wallNow());
    this.#hard = Math.min(clock.now() + leftMs, outer);
    return leftMs;
  }

  /** What it is in a trace, its end included once it has one. */
  get attributes(): CallAbout["attributes"] {
    const end = this.#end;
    return {
      ...rpcAttributes(this.path),
      ...placeOf(this.#owner.address()),
      ...(end === undefined ? {} : { "rpc.response.status_code": codes[end.code] }),
    };
  }

  /** When it got its place, in ms of the clock. */
  get startedAt(): number | undefined {
    return this.#use.startedAt;
  }

  /** Its connection, or its manager, ends it. */
  fail(error: unknown): void {
    this.#use.fail(error);
  }

  /** It has its place. Whatever goes wrong here ends this call, and nothing else. */
  begin(): void {
    const { dress, unsent, clock } = this.#owner;
    try {
      const dressed = dress(this.path, this.#metadata as Metadata, {
        hasCredentials: this.#credentials !== undefined,
        requestId: this.#requestId,
        traceContext: this.#use.traceContext,
      }); // `start` came first
      if (!(dressed instanceof Promise)) return this.#launch(dressed, this.#use.startedAt ?? clock.now());
      unsent.add(this);
      dressed
        .finally(() => unsent.delete(this))
        .then((metadata) => (this.#use.settled ? undefined : this.#launch(metadata, clock.now())))
        .catch((error: unknown) => this.#use.fail(error));
    } catch (error) {
      this.#use.fail(error);
    }
  }

  #launch(metadata: Metadata, now: number): void {
    const link = this.#owner.link();
    const leftMs = this.#leftMs(now);
    const native = this.#owner.hasAttempts && leftMs !== NEVER ? systemClock.wallNow() + leftMs + SLACK_MS : NEVER;
    const inner = this.#create(link, native);
    this.#link = link;
    this.#inner = inner;
    link.add(this);
    if (this.#credentials !== undefined) inner.setCredentials(this.#credentials);
    inner.start(native === NEVER ? withDeadline(metadata, leftMs) : metadata, this);
    const kept = this.#kept;
    this.#kept = undefined;
    if (kept !== undefined) for (const step of kept) step(inner);
  }

  #create(link: Link, deadline: number): ChannelCall {
    try {
      return link.channel.createCall(this.path, deadline, this.#host, this.#parent, this.#flags);
    } catch (cause) {
      const { resource } = this.#owner;
      const message = `${resource}: the channel takes no calls: ${describeError(cause)}`;
      throw new StewardError("RESOURCE_UNAVAILABLE", message, { resource, cause });
    }
  }

  /**
   * The time left, as reported to the server, in ms. A stream outlives the default, so there only what its caller
   * asked for counts.
   */
  #leftMs(now: number): number {
    const unary = this.#kind?.requestStream === false && !this.#kind.responseStream;
    const deadline = unary ? this.#use.deadline : this.#hard;
    return deadline === NEVER ? NEVER : Math.max(0, deadline - now);
  }

  #down(step: (call: ChannelCall) => void): void {
    if (this.#inner !== undefined) step(this.#inner);
    else if (!this.#use.settled) (this.#kept ??= []).push(step);
  }

  sendMessageWithContext(context: MessageContext, message: Buffer): void {
    if (this.#inner !== undefined) this.#inner.sendMessageWithContext(context, message);
    else this.#down((call) => call.sendMessageWithContext(context, message));
  }

  startRead(): void {
    if (this.#inner !== undefined) this.#inner.startRead();
    else this.#down((call) => call.startRead());
  }

  halfClose(): void {
    // All is asked: from here the default counts, unless something was answered or the caller set a bound.
    if (this.#kind?.requestStream === true && !this.#answered && this.#hard === NEVER)
      this.#use.acquired(this.#owner.timeoutMs);
    if (this.#inner !== undefined) this.#inner.halfClose();
    else this.#down((call) => call.halfClose());
  }

  cancelWithStatus(code: codes, details: string): void {
    if (this.#end !== undefined) return;
    const { resource } = this.#owner;
    const cause = new StewardError("CALL_ABORTED", `${resource}: the caller gave up`, { resource });
    this.#end = Object.assign({ ...statusOfRefusal(cause), code, details }, { cause });
    if (this.#listener === undefined) return;
    this.#inner?.cancelWithStatus(code, details);
    this.#use.fail(cause);
    this.#deliver(this.#end);
  }

  setCredentials(credentials: CallCredentials): void {
    this.#credentials = credentials;
  }

  getPeer(): string {
    return this.#inner?.getPeer() ?? "";
  }

  getCallNumber(): number {
    return this.#inner?.getCallNumber() ?? 0;
  }

  getAuthContext(): AuthContext {
    return this.#inner?.getAuthContext() ?? null;
  }

  onReceiveMetadata(metadata: Metadata): void {
    this.#heard();
    if (this.#end === undefined) this.#listener?.onReceiveMetadata(metadata);
  }

  onReceiveMessage(message: unknown): void {
    if (this.#kind?.responseStream !== false) this.#heard();
    if (this.#end === undefined) this.#listener?.onReceiveMessage(message);
  }

  /** Anything that arrives proves the connection; of a stream it is the answer, and what follows has its own bound. */
  #heard(): void {
    const { idleTimeoutMs, clock } = this.#owner;
    const now = clock.now();
    this.#isHeard = true;
    this.#link?.heard(now);
    if (this.#use.settled || this.#kind?.responseStream === false) return;
    if (this.#answered && idleTimeoutMs === NEVER) return;
    this.#answered = true;
    this.#link?.answered(this);
    this.#use.answered(Math.min(idleTimeoutMs, this.#hard - now));
  }

  onReceiveStatus(status: StatusObject): void {
    this.#link?.remove(this);
    if (this.#end !== undefined) return this.#use.succeed();
    this.#end = status;
    const verdict = verdictOn(status.code, this.#isHeard);
    if (verdict !== "none") this.#against(status, verdict);
    else {
      // The headers of a single answer came a moment before it.
      if (!this.#isHeard) this.#link?.heard(this.#owner.clock.now());
      this.#use.succeed();
    }
    this.#listener?.onReceiveStatus(status);
  }

  /** The receiver of the error finds one of ours as its cause, as in errors that the channel itself makes. */
  #against(status: StatusObject, verdict: Verdict): void {
    const { resource, isRepeatable } = this.#owner;
    // Only a call that got as far as a connection has what is known of the peer.
    if (this.getAuthContext() !== null && isCutOff(status, this.#isHeard)) {
      const unknown = cutOff(resource, status, isRepeatable(this.path));
      Object.assign(status, { cause: unknown });
      return this.#use.fail(unknown);
    }
    const cause = causeOfStatus(resource, status);
    if (isStewardError(cause)) Object.assign(status, { cause });
    this.#use.fail(new StatusFailure(cause, verdict));
  }

  /** It is over before its answer. */
  giveUp(error: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = statusOfRefusal(error);
    this.#inner?.cancelWithStatus(this.#end.code, this.#end.details);
    this.#deliver(this.#end);
  }

  /** Never in the turn of the client's own call: no caller expects an answer before the request is sent. */
  #deliver(status: StatusObject): void {
    process.nextTick(() => this.#listener?.onReceiveStatus(status));
  }
}
