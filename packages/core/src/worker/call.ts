import { PendingCall, type CallOwner } from "../time/pending-call.ts";

/** One call of a worker, and its caller. */
export class WorkerCall extends PendingCall<unknown> {
  readonly id: number;

  constructor(
    id: number,
    since: number,
    owner: CallOwner<WorkerCall>,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    super(since, owner, resolve, reject);
    this.id = id;
  }

  /** Its method learns that `signal` aborts, by `cancel`; it goes on until it is answered. */
  pass(signal: AbortSignal, cancel: () => void): void {
    if (signal.aborted) return queueMicrotask(cancel); // once it is sent
    this.listen(signal, cancel);
  }
}
