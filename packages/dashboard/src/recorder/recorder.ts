import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { Clock } from "@steward/core";
import { attempt, found, reportOf, type DashboardSource, type FindSource, type SourceReport } from "../source.ts";
import {
  nodesOf,
  own,
  summaryOf,
  type DashboardNode,
  type DashboardView,
  type Failures,
  type Summary,
} from "../view.ts";
import type { ReplicaView } from "../replicas/peer.ts";
import { Calls, type ErrorCount } from "./calls.ts";
import { Journal, type JournalEntry } from "./journal.ts";
import { Changes, type NodeChange } from "./changes.ts";
import type { LatencyView } from "./latencies.ts";
import { ProcessMeter, type ProcessView } from "./process.ts";
import { Requests } from "./requests.ts";

/** What has changed since the last delta. */
export interface Delta extends Summary {
  readonly at: number;
  readonly nodes: readonly NodeChange[];
  /** Names that are there no longer. */
  readonly gone: readonly string[];
  readonly process: ProcessView | undefined;
  readonly requests: DashboardView["requests"];
}

/** Everything about one resource. */
export interface ResourceDetail {
  readonly name: string;
  readonly stats: Readonly<Record<string, unknown>> | undefined;
  readonly about: Readonly<Record<string, unknown>> | undefined;
  readonly readiness: string | undefined;
  readonly probeMs: number | undefined;
  readonly lastCheckAt: string | undefined;
  /** The last 5 minutes. */
  readonly latency: LatencyView | undefined;
  readonly errors: readonly ErrorCount[];
}

/** What a recorder keeps, and what there is besides. */
export interface RecorderOptions {
  readonly journalSize: number;
  readonly keepsJournal: boolean;
  /** Whether training runs are shown. */
  readonly hasRuns: boolean;
}

const NONE: Failures = new Map();

/** Knows what happens: the journal always, calls, requests and the process only while somebody watches. */
export class Recorder {
  readonly journal: Journal;
  /** Which process this is; another start is another one. */
  readonly instance: string;
  /** Where what is shown is found; known from the first request on. */
  find: FindSource = () => undefined;
  readonly #clock: Clock;
  readonly #calls: Calls;
  readonly #requests: Requests;
  readonly #process = new ProcessMeter();
  readonly #changes = new Changes();
  readonly #options: RecorderOptions;
  #lastSummary = "";
  #heardSequence = -1;
  #lastProcess: ProcessView | undefined;
  #watches = false;

  constructor(clock: Clock, options: RecorderOptions) {
    this.#clock = clock;
    this.journal = new Journal(clock, options.journalSize);
    this.#options = options;
    if (options.keepsJournal) this.journal.open();
    this.#calls = new Calls(clock);
    this.#requests = new Requests(clock);
    this.instance = `${hostname()}-${process.pid}-${randomBytes(4).toString("hex")}`;
  }

  /** Whether calls, requests and the process are recorded. */
  get watches(): boolean {
    return this.#watches;
  }

  /** Somebody watches: records calls, requests and the process. */
  watch(): void {
    if (this.#watches) return;
    this.#watches = true;
    this.#heardSequence = -1;
    this.journal.open(); // what changes is known by it
    this.#calls.open();
    this.#requests.open();
    this.#process.open();
  }

  /** The last viewer has gone. */
  unwatch(): void {
    if (!this.#watches) return;
    this.#watches = false;
    if (!this.#options.keepsJournal) this.journal.close();
    this.#calls.close();
    this.#requests.close();
    this.#process.close();
    this.#changes.clear();
    this.#lastSummary = "";
    this.#lastProcess = undefined;
  }

  /** Everything now; of the journal what came after a change, or all of it. */
  view(journal: readonly JournalEntry[] = this.journal.entries()): DashboardView {
    const source = found(this.find);
    const report = reportOf(source);
    return {
      schema: 1,
      instance: this.instance,
      at: this.#clock.wallNow(),
      sequence: this.journal.sequence,
      ...summaryOf(source, report),
      nodes: this.#nodesOf(source, report),
      journal,
      process: this.#lastProcess,
      requests: this.#openRequests(),
      hasRuns: this.#options.hasRuns,
    };
  }

  /** This process as one of several. */
  replica(): ReplicaView {
    const source = found(this.find);
    const report = reportOf(source);
    const { container, version, phase, status, uptimeMs } = summaryOf(source, report);
    const nodes = this.#nodesOf(source, report).map((node) => ({
      name: node.name,
      status: node.status,
      phase: node.phase,
    }));
    const { instance } = this;
    const own = { url: undefined, state: "live" as const, reason: undefined };
    return { ...own, instance, container, version, phase, status, uptimeMs, nodes };
  }

  /**
   * What has changed since the last one; `undefined` where nothing has. All resources are looked at when something
   * happened, and once a second for their numbers.
   */
  delta(): Delta | undefined {
    const isSecond = this.#calls.measure();
    const { sequence } = this.journal;
    if (!isSecond && sequence === this.#heardSequence) return undefined;
    this.#heardSequence = sequence;
    const source = found(this.find);
    const report = reportOf(source);
    const { changed, gone } = this.#changes.take(this.#nodesOf(source, report));
    if (isSecond) this.#lastProcess = this.#process.read();
    const summary = summaryOf(source, report);
    const { uptimeMs: _, ...steady } = summary;
    const text = JSON.stringify(steady);
    const isNews = text !== this.#lastSummary;
    this.#lastSummary = text;
    if (!isSecond && !isNews && changed.length === 0 && gone.length === 0) return undefined;
    return {
      at: this.#clock.wallNow(),
      ...summary,
      nodes: changed,
      gone,
      process: isSecond ? this.#lastProcess : undefined,
      requests: isSecond ? this.#openRequests() : undefined,
    };
  }

  /** Everything about a resource; `undefined` where there is none of this name. */
  detail(name: string): ResourceDetail | undefined {
    const source = found(this.find);
    const health = reportOf(source)?.resources.find((one) => one.name === name);
    const stats = own(attempt(() => source?.stats?.(), undefined) ?? {}, name);
    const calls = this.#calls.of(name);
    const isKnown = attempt(() => source?.graph?.().nodes.some((node) => node.name === name), undefined) ?? false;
    if (!isKnown && health === undefined && stats === undefined) return undefined;
    return {
      name,
      stats,
      about: health?.about,
      readiness: health?.readiness,
      probeMs: health?.probeMs,
      lastCheckAt: health?.lastCheckAt,
      latency: calls?.latencies.whole(this.#clock.now()),
      errors: calls?.errors ?? [],
    };
  }

  #nodesOf(source: DashboardSource | undefined, report: SourceReport | undefined): DashboardNode[] {
    const failures = report?.phase === "failed" ? this.journal.failures() : NONE;
    return nodesOf(source, report, this.#calls, this.#clock, failures);
  }

  #openRequests(): DashboardView["requests"] {
    return this.#watches ? { open: this.#requests.size, oldest: this.#requests.oldest() } : undefined;
  }
}
