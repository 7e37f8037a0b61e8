import type { Clock } from "@steward/core";
import {
  flag,
  funcOr,
  listOf,
  operatorToken,
  rule,
  shape,
  text,
  wholeNumber,
  withMethods,
  type Shape,
} from "@steward/core/driver";
import type { RunSource } from "./runs/source.ts";

/** Where the dashboards of the other replicas are: a list, or what gives one, such as `dnsPeers`. */
export type PeerSource = readonly string[] | (() => readonly string[] | Promise<readonly string[]>);

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
  /**
   * Addresses of the dashboards of the other replicas, such as `http://10.0.0.7:9464/steward/`, at most 50. Each is
   * followed by one stream while somebody watches here. Default none.
   */
  readonly peers?: PeerSource | undefined;
  /** The token of the other replicas. Default: that of this one, so give all of them the same. */
  readonly peerToken?: string | undefined;
  /**
   * Training runs to show: a run log of `@steward/training`, or a function that gives it once it is there, such as
   * `() => running?.get(runs)`. They are read only while somebody looks at their page. Default: no such page.
   */
  readonly runs?: RunSource | (() => RunSource | undefined) | undefined;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock | undefined;
}

/** What the options of a dashboard must be. */
export const dashboardShape: Shape<DashboardOptions> = /* @__PURE__ */ shape<DashboardOptions>(() => ({
  token: rule("text, or false", (given) => {
    const problem = given === false ? undefined : operatorToken()(given);
    return typeof problem === "string" ? `${problem}, or false` : problem;
  }),
  hosts: listOf(text()),
  journal: flag(),
  journalSize: wholeNumber(1, 10_000),
  maxViewers: wholeNumber(1, 1_000),
  peers: funcOr(listOf(text())),
  peerToken: text(),
  runs: funcOr(withMethods("a run log", "follow")),
  clock: withMethods("a clock", "now", "wallNow", "setTimeout"),
}));
