import { assertShape } from "../options/shape.ts";
import type { BoundedCall } from "../time/with-timeout.ts";
import { BaseManager } from "./base-manager.ts";
import { contextShape, type ManagerContext } from "./manager-context.ts";

/**
 * Looks after one driver: starts, probes, drains and stops it, once each however many ask, and never hangs.
 *
 * A driver package extends it and says how to `onStart`, `onProbe`, `onDrain` and `onStop`; the races, deadlines and
 * phases are here. It works without a container: `await using redis = await new RedisPoolManager(options).start()`.
 */
export abstract class Manager<Client> extends BaseManager<Client> {
  constructor(kind: string, context: ManagerContext = {}) {
    assertShape(kind, contextShape, context);
    super(kind, context);
  }

  /** Makes the driver ready; a rejection or an abort of `signal` means that it is not. */
  protected abstract onStart(signal: AbortSignal): Promise<void> | void;

  /** Releases everything, also what a failed or aborted `onStart` left. When `signal` aborts, by force. */
  protected abstract onStop(signal: AbortSignal): Promise<void> | void;

  /** Waits for the work in flight; new work is refused already. When `signal` aborts, time is over. */
  protected onDrain(_signal: AbortSignal): Promise<void> | void {}

  protected override starting({ signal }: BoundedCall): Promise<void> | void {
    return this.onStart(signal);
  }

  protected override draining({ signal }: BoundedCall): Promise<void> | void {
    return this.onDrain(signal);
  }

  protected override stopping({ signal }: BoundedCall): Promise<void> | void {
    return this.onStop(signal);
  }
}
