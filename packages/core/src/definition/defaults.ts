import { breakerShape, type BreakerOptions } from "../guard/breaker.ts";
import { retryShape, type RetryOptions } from "../guard/retry.ts";
import type { HealthSettings } from "../health/tracker.ts";
import { environmentName, flag, literalOr, milliseconds } from "../options/rules.ts";
import { shape, type Shape } from "../options/shape.ts";
import { healthShape } from "./settings.ts";

/** What a resource and its calls do where its own options do not say otherwise. */
export interface CallDefaults {
  /** Deadline of a call, time in the queue included, in ms. Default: that of each driver; none for guarded resources. */
  readonly timeoutMs?: number | undefined;
  /** Retries of idempotent calls. `false` for none. Default: that of each driver; none for guarded resources. */
  readonly retry?: RetryOptions | false | undefined;
  /** The circuit breaker. `false` for none. Default: on. */
  readonly breaker?: BreakerOptions | false | undefined;
  /** Where this runs, such as `production`: a store that is marked for another one refuses to start. Default: nothing is marked. */
  readonly environment?: string | undefined;
}

/** What every resource of a container does where it does not say otherwise. An option of a resource replaces the one here as a whole. */
export interface ResourceDefaults extends CallDefaults {
  /** How health is watched. `false`: nothing is probed, and only starts and real calls count. Default: the `health` of the container. */
  readonly health?: HealthSettings | false | undefined;
  /** Whether numbers of a resource are among the series of the container. Default `true`. */
  readonly metrics?: boolean | undefined;
}

/** What the defaults of a container must be. */
export const defaultsShape: Shape<ResourceDefaults> = /* @__PURE__ */ shape<ResourceDefaults>(() => ({
  timeoutMs: milliseconds(),
  retry: literalOr(false, retryShape),
  breaker: literalOr(false, breakerShape),
  environment: environmentName(),
  health: literalOr(false, healthShape),
  metrics: flag(),
}));
