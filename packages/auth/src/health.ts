import type { MetricSample } from "@steward/core";
import type { RefreshCounts } from "./refresh/families.ts";
import type { VerificationCounts } from "./tokens/access-tokens.ts";

/** Numbers of an authentication resource. */
export interface AuthenticationStats {
  /** Tokens whose verification is remembered. */
  readonly remembered: number;
  /** How verifications ended, since the start. */
  readonly verifications: Readonly<VerificationCounts>;
  /** How uses of refresh tokens ended; none where there are no refresh tokens. */
  readonly refreshes: Readonly<Partial<RefreshCounts>>;
  /** Calls of a store that failed or took too long. */
  readonly storeFailures: number;
}

/** Its metrics: no user is in a label. */
export function* seriesOf(
  verifications: VerificationCounts,
  refreshes: RefreshCounts | undefined,
  attributes: Readonly<Record<string, string>>,
): Iterable<MetricSample> {
  for (const [outcome, value] of Object.entries(verifications))
    yield {
      name: "steward.auth.verifications",
      kind: "counter",
      unit: "{verification}",
      attributes: { ...attributes, outcome },
      value,
    };
  for (const [outcome, value] of Object.entries(refreshes ?? {}))
    yield {
      name: "steward.auth.refreshes",
      kind: "counter",
      unit: "{refresh}",
      attributes: { ...attributes, outcome },
      value,
    };
}
