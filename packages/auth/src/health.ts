import type { MetricSample } from "@steward/core";
import type { SignInCounts } from "./passwords/sign-in.ts";
import type { RefreshCounts } from "./sessions/refresh/families.ts";
import type { VerificationCounts } from "./tokens/access-tokens.ts";

/** Numbers of an authentication resource. */
export interface AuthenticationStats {
  /** Tokens whose verification is remembered. */
  readonly remembered: number;
  /** How verifications ended, since the start. */
  readonly verifications: Readonly<VerificationCounts>;
  /** How uses of refresh tokens ended; none where there are no refresh tokens. */
  readonly refreshes: Readonly<Partial<RefreshCounts>>;
  /** How sign-ins with passwords ended. */
  readonly signIns: Readonly<SignInCounts>;
  /** Calls of a store that failed or took too long. */
  readonly storeFailures: number;
  /** Ends of sessions that could not be said to other instances. */
  readonly busFailures: number;
}

/** What is counted by how it ended. */
export interface Counted {
  readonly verifications: VerificationCounts;
  readonly refreshes: RefreshCounts | undefined;
  readonly signIns: SignInCounts;
}

/** Its metrics: no user is in a label. */
export function* seriesOf(
  { verifications, refreshes, signIns }: Counted,
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
  for (const [outcome, value] of Object.entries(signIns))
    yield {
      name: "steward.auth.sign_ins",
      kind: "counter",
      unit: "{sign-in}",
      attributes: { ...attributes, outcome },
      value,
    };
}
