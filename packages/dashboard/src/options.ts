import type { Clock } from "@steward/core";
import { flag, listOf, rule, shape, text, wholeNumber, withMethods, type Shape } from "@steward/core/driver";

/** How a dashboard is reached and what it keeps. */
export interface DashboardOptions {
  /**
   * What a browser must know: at least 16 characters. `false` asks for none, and then only connections from this
   * machine are answered. Default: made at random; `dashboard.link` gives the address that carries it.
   */
  readonly token?: string | false | undefined;
  /** Names by which it may be asked besides `localhost` and IP addresses, such as `clips.internal`. Default none. */
  readonly hosts?: readonly string[] | undefined;
  /** Whether what happens is kept while no one watches: changes of phase and health, breakers, restarts. Default `true`. */
  readonly journal?: boolean | undefined;
  /** Most lines of the journal, 1 to 10,000. Default 512; older ones go. */
  readonly journalSize?: number | undefined;
  /** Most viewers at a time, 1 to 1,000; further ones get 503. Default 20. */
  readonly maxViewers?: number | undefined;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock | undefined;
}

const LEAST_TOKEN = 16;

/** What the options of a dashboard must be. */
export const dashboardShape: Shape<DashboardOptions> = /* @__PURE__ */ shape<DashboardOptions>(() => ({
  token: rule("text, or false", (given) =>
    given === false || (typeof given === "string" && given.length >= LEAST_TOKEN)
      ? undefined
      : `must be text of at least ${LEAST_TOKEN} characters, or false`,
  ),
  hosts: listOf(text()),
  journal: flag(),
  journalSize: wholeNumber(1, 10_000),
  maxViewers: wholeNumber(1, 1_000),
  clock: withMethods("a clock", "now", "wallNow", "setTimeout"),
}));
