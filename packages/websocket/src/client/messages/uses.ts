import { StewardError, type CallOptions } from "@steward/core";
import { assertShape, callRules, describeError, OptionsError, shape } from "@steward/core/driver";
import { json, type CallProtocol, type Payload, type RemoteFailure, type Reply } from "../../wire/protocol.ts";
import { Outgoing, type Carrier, type OpenCall, type Outlet } from "./outgoing.ts";

const callShape = shape<CallOptions>(callRules);

/**
 * Refuses options of a send or a call that are unknown or of a wrong type.
 * @throws {OPTIONS_INVALID} listing every problem.
 */
export function checkCallOptions(owner: string, options: CallOptions | undefined): void {
  if (options !== undefined) assertShape(owner, callShape, options);
}

/**
 * Refuses what `ws` would send as another thing, or fail at while it writes others too.
 * @throws {OPTIONS_INVALID} when it is neither text nor bytes.
 */
export function checkPayload(owner: string, payload: unknown): void {
  if (typeof payload === "string" || ArrayBuffer.isView(payload) || payload instanceof ArrayBuffer) return;
  throw new OptionsError([{ resource: owner, path: "", message: "expected a string or bytes; write JSON yourself" }]);
}

/** A message that is done once the system has taken it. */
export class SendUse extends Outgoing {
  readonly #data: Payload;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;

  constructor(outbox: Outlet, data: Payload, urgent: boolean, resolve: () => void, reject: (error: unknown) => void) {
    super(outbox, urgent);
    this.#data = data;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  protected override begin(): void {
    this.put(this.#data);
  }

  override written(): void {}

  override taken(): void {
    if (!this.settled) this.#resolve();
    this.succeed();
  }

  protected override reject(error: unknown): void {
    this.#reject(error);
  }
}

/** What a call asks for: something of the application, or of the hub itself. */
export type Request =
  | { readonly verb: "call"; readonly body: unknown }
  | { readonly verb: "join"; readonly room: string; readonly after: Readonly<Record<string, number>> | undefined }
  | { readonly verb: "leave"; readonly room: string };

/** What all calls of a session have in common. */
export interface CallPlan {
  readonly resource: string;
  readonly protocol: CallProtocol;
  readonly ackedTimeoutMs: number;
}

/** A message that is done once the other side has replied. */
export class CallUse extends Outgoing implements OpenCall {
  readonly #plan: CallPlan;
  readonly #request: Request;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;
  /** Unique in its session, over all connections. */
  readonly id: number;

  constructor(
    outbox: Outlet,
    plan: CallPlan,
    id: number,
    request: Request,
    urgent: boolean,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    super(outbox, urgent);
    this.#plan = plan;
    this.id = id;
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  protected override begin(): void {
    let payload: Payload;
    try {
      payload = this.#encode();
      checkPayload(`${this.#plan.resource}: protocol.encode`, payload);
    } catch (error) {
      return this.fail(error);
    }
    this.put(payload);
  }

  #encode(): Payload {
    const request = this.#request;
    if (request.verb === "call") return this.#plan.protocol.encode(this.id, request.body);
    if (request.verb === "leave") return `{"id":${this.id},"leave":${json(request.room)}}`;
    const after = request.after === undefined ? "" : `,"after":${json(request.after)}`;
    return `{"id":${this.id},"join":${json(request.room)}${after}}`;
  }

  override written(link: Carrier): void {
    link.calls.set(this.id, this);
  }

  override taken(): void {}

  replied(reply: Reply): boolean {
    if (reply.kind === "ack") {
      this.answered(this.#plan.ackedTimeoutMs);
      return false;
    }
    if (reply.kind === "failure") this.#reject(this.#errorOf(reply.failure));
    else this.#resolve(reply.value);
    // An error of the application is an answer too: the other side is well.
    this.succeed();
    return true;
  }

  #errorOf({ code, message, retryable }: RemoteFailure): StewardError {
    const { resource } = this.#plan;
    const cause = Object.assign(new Error(message), { code });
    const text = `${resource}: the other side answered: ${describeError(cause)}`;
    return new StewardError("WEBSOCKET_CALL_FAILED", text, { resource, cause, retryable });
  }

  /** Its reply may have lain in a socket that we had paused: that it is late says nothing of the other side. */
  override expire(): void {
    if (this.startedAt !== undefined && this.link?.wasUnreadSince(this.startedAt) === true) this.held();
    super.expire();
  }

  protected override reject(error: unknown): void {
    this.link?.forget(this.id);
    this.#reject(error);
  }
}
