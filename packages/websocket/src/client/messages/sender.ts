import type { CallOptions, Guard } from "@steward/core";
import type { Payload } from "../../wire/protocol.ts";
import type { Outlet } from "./outgoing.ts";
import { CallUse, checkCallOptions, checkPayload, SendUse, type CallPlan, type Request } from "./uses.ts";

/** What messages go through. */
export interface SenderPlan extends CallPlan {
  readonly sends: Guard;
  readonly calls: Guard;
  /** For what resume hooks do: it refuses nothing while the manager starts. */
  readonly resumes: Guard;
}

/** Makes messages and calls of what a session is asked to send. What is urgent is that of a resume hook. */
export class Sender {
  readonly #plan: SenderPlan;
  readonly #outbox: Outlet;
  #lastId = 0;

  constructor(plan: SenderPlan, outbox: Outlet) {
    this.#plan = plan;
    this.#outbox = outbox;
  }

  /** Resolves when the system has taken it. */
  send(data: Payload, urgent: boolean, options?: CallOptions): Promise<void> {
    const { resource, sends, resumes } = this.#plan;
    return new Promise((resolve, reject) => {
      checkCallOptions(`${resource}: send`, options);
      checkPayload(`${resource}: send`, data);
      (urgent ? resumes : sends).enter(new SendUse(this.#outbox, data, urgent, resolve, reject), options);
    });
  }

  /** Resolves with the reply. */
  call(request: Request, urgent: boolean, options?: CallOptions): Promise<unknown> {
    const { resource, calls, resumes } = this.#plan;
    return new Promise((resolve, reject) => {
      checkCallOptions(`${resource}: call`, options);
      const use = new CallUse(this.#outbox, this.#plan, ++this.#lastId, request, urgent, resolve, reject);
      (urgent ? resumes : calls).enter(use, options);
    });
  }
}
