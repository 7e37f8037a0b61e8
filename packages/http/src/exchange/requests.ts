import type { MetricSample } from "@steward/core";
import { Histogram } from "@steward/core/driver";

type Attributes = Readonly<Record<string, string>>;

/** Buckets that the OpenTelemetry conventions advise for durations of HTTP requests, in s. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** Origins of a session that have series of their own; further ones share one, because every series costs storage. */
const MAX_NAMED = 50;

/** Series of one origin; a server can make up statuses, so what lies beyond is recorded without its outcome. */
const MAX_OUTCOMES = 50;

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]);

/** One method with one outcome. */
interface Outcome {
  readonly method: string;
  readonly outcome: number | string;
  readonly durations: Histogram;
}

/** How long the requests to an origin took, by method and outcome. */
export class RequestDurations {
  /** `server.address` and `server.port`. */
  readonly server: Attributes;
  readonly #outcomes: Outcome[] = [];
  #last: Outcome | undefined;

  constructor(server: Attributes) {
    this.server = server;
  }

  /** A request took `seconds` until `outcome`: its status, or what it failed with: an error, or just its code. */
  record(method: string, outcome: unknown, seconds: number): void {
    const kind = typeof outcome === "number" ? outcome : typeOf(outcome);
    const last = this.#last;
    const found =
      last !== undefined && last.method === method && last.outcome === kind ? last : this.#find(method, kind);
    found.durations.record(seconds);
  }

  #find(method: string, outcome: number | string): Outcome {
    const known = this.#outcomes.find((one) => one.method === method && one.outcome === outcome);
    if (known !== undefined) return (this.#last = known);
    if (this.#outcomes.length >= MAX_OUTCOMES && outcome !== "_OTHER") return this.#find("_OTHER", "_OTHER");
    const made = { method, outcome, durations: new Histogram(BOUNDS) };
    this.#outcomes.push(made);
    return (this.#last = made);
  }

  *series(attributes: Attributes): Iterable<MetricSample> {
    for (const { method, outcome, durations } of this.#outcomes)
      yield {
        name: "http.client.request.duration",
        kind: "histogram",
        unit: "s",
        attributes: {
          ...attributes,
          ...this.server,
          "http.request.method": METHODS.has(method) ? method : "_OTHER",
          ...(typeof outcome === "number" ? { "http.response.status_code": String(outcome) } : {}),
          ...(typeof outcome === "string" || outcome >= 400 ? { "error.type": String(outcome) } : {}),
        },
        value: durations.value(),
      };
  }
}

/** What `error.type` says of an error: its code, for there is no end to messages. */
function typeOf(error: unknown): string {
  if (typeof error === "string") return error;
  if (!(error instanceof Error)) return "_OTHER";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}

/** Requests of all origins of a session. It outlives origins that are forgotten, so that nothing counts backwards. */
export class SessionRequests {
  readonly #byOrigin = new Map<string, RequestDurations>();
  readonly #others = new RequestDurations({ "server.address": "_OTHER" });

  of(origin: string): RequestDurations {
    const known = this.#byOrigin.get(origin);
    if (known !== undefined) return known;
    if (this.#byOrigin.size >= MAX_NAMED) return this.#others;
    const { hostname, port, protocol } = new URL(origin);
    const server = { "server.address": hostname, "server.port": port || (protocol === "https:" ? "443" : "80") };
    const made = new RequestDurations(server);
    this.#byOrigin.set(origin, made);
    return made;
  }

  *series(attributes: Attributes): Iterable<MetricSample> {
    for (const requests of this.#byOrigin.values()) yield* requests.series(attributes);
    yield* this.#others.series(attributes);
  }
}
