import type { GuardedUse } from "../guard/guarded-use.ts";

/** The guard whose calls are the evidence. */
export interface EvidenceOwner {
  /** True when no call could begin now. */
  readonly isFull: boolean;
  /** The breaker has opened; these attempts still wait for a connection. */
  opened(acquiring: readonly GuardedUse[]): void;
}
