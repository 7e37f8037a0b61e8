import { get, type ClientRequest, type IncomingMessage } from "node:http";
import { get as getEncrypted } from "node:https";
import type { Clock, Timer } from "@steward/core";
import { describeError } from "@steward/core/driver";
import { isRecord } from "../view.ts";
import { EventReader } from "./event-reader.ts";

/** One resource of a replica. */
export interface ReplicaNode {
  readonly name: string;
  readonly status: string | undefined;
  readonly phase: string;
}

/** One process of several that run the same. */
export interface ReplicaView {
  /** Where its dashboard is; `undefined` for this one. */
  readonly url: string | undefined;
  /** `unknown` when it has been silent for 5 s or cannot be reached: then nothing else of it is shown. */
  readonly state: "live" | "unknown";
  /** Why it is unknown. */
  readonly reason: string | undefined;
  readonly instance: string | undefined;
  readonly container: string | undefined;
  readonly version: string | undefined;
  readonly phase: string | undefined;
  readonly status: string | undefined;
  readonly uptimeMs: number | undefined;
  readonly nodes: readonly ReplicaNode[];
}

/** A peer says something every second while it is watched. */
const SILENT_MS = 5_000;
/** A connection whose other end is gone without a word is opened anew. */
const DEAD_MS = 15_000;
const AGAIN_MS = 1_000;
/** Most resources of a peer that are kept. */
const MOST_NODES = 5_000;
/** Most characters of what it says of one. */
const MOST_TEXT = 200;

type Summary = Pick<ReplicaView, "instance" | "container" | "version" | "phase" | "status" | "uptimeMs">;

/** One stream from another replica, opened again as often as it breaks. */
export class Peer {
  readonly url: string;
  readonly #clock: Clock;
  readonly #token: string | undefined;
  readonly #nodes = new Map<string, ReplicaNode>();
  #summary: Summary | undefined;
  #request: ClientRequest | undefined;
  #again: Timer | undefined;
  #heardAt = Number.NEGATIVE_INFINITY;
  #openedAt = Number.NEGATIVE_INFINITY;
  #reason: string | undefined;
  #isClosed = false;

  constructor(url: string, token: string | undefined, clock: Clock) {
    this.url = url;
    this.#token = token;
    this.#clock = clock;
    this.#open();
  }

  close(): void {
    this.#isClosed = true;
    this.#again?.cancel();
    this.#request?.destroy();
  }

  /** Gives a connection up on which nothing has come for long. */
  check(): void {
    const since = Math.max(this.#heardAt, this.#openedAt);
    if (this.#clock.now() - since >= DEAD_MS) this.#request?.destroy(new Error(`silent for ${DEAD_MS / 1_000} s`));
  }

  /** What it said last, or that it is not known any more. */
  view(): ReplicaView {
    const url = shownUrl(this.url);
    const silentMs = this.#clock.now() - this.#heardAt;
    if (this.#summary !== undefined && this.#request !== undefined && silentMs < SILENT_MS)
      return { url, state: "live", reason: undefined, ...this.#summary, nodes: [...this.#nodes.values()] };
    const silent = Number.isFinite(silentMs) ? `silent for ${Math.round(silentMs / 1_000)} s` : "not heard of yet";
    return { ...NOTHING, url, instance: this.#summary?.instance, reason: this.#reason ?? silent };
  }

  #open(): void {
    if (this.#isClosed) return;
    this.#openedAt = this.#clock.now();
    try {
      const at = new URL("events?peer=1", this.url);
      const headers = this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
      const ask = at.protocol === "https:" ? getEncrypted : get;
      const request = ask(at, { headers, agent: false });
      this.#request = request;
      request.on("response", (response) => this.#read(request, response));
      request.on("error", (error) => this.#lost(request, describeError(error)));
    } catch (error) {
      this.#reason = describeError(error); // an address that is none
    }
  }

  #read(request: ClientRequest, response: IncomingMessage): void {
    response.on("error", () => {}); // "close" comes too
    response.on("close", () => this.#lost(request, "its stream has ended"));
    if (response.statusCode !== 200) {
      request.destroy();
      return this.#lost(request, `it answers ${response.statusCode}`);
    }
    const reader = new EventReader((name, data) => this.#on(name, data));
    response.setEncoding("utf8").on("data", (text: string) => {
      if (!takes(reader, text)) request.destroy(new Error("it sends what no dashboard sends"));
    });
  }

  #lost(request: ClientRequest, reason: string): void {
    if (this.#request !== request) return;
    this.#request = undefined;
    this.#reason = reason;
    if (!this.#isClosed) this.#again = this.#clock.setTimeout(() => this.#open(), AGAIN_MS, { unref: true });
  }

  #on(name: string, text: string): void {
    const data: unknown = JSON.parse(text);
    if (!isRecord(data)) return;
    this.#heardAt = this.#clock.now();
    this.#reason = undefined;
    if (name === "view") this.#nodes.clear();
    if (name !== "view" && name !== "delta") return;
    this.#summary = { ...summaryOf(data), instance: textOf(data["instance"]) ?? this.#summary?.instance };
    for (const gone of listOf(data["gone"])) this.#nodes.delete(textOf(gone) ?? "");
    for (const node of listOf(data["nodes"])) this.#note(node);
  }

  #note(node: unknown): void {
    if (!isRecord(node)) return;
    const before = this.#nodes.get(textOf(node["name"]) ?? "");
    const { name, status = before?.status, phase = before?.phase } = node; // of a delta only what has changed
    const found = { name: textOf(name) ?? "", status: textOf(status), phase: textOf(phase) ?? "unknown" };
    if (this.#nodes.size < MOST_NODES || this.#nodes.has(found.name)) this.#nodes.set(found.name, found);
  }
}

/** An address without what lets one in: a name and password, a token in its query. */
function shownUrl(url: string): string {
  if (!URL.canParse(url)) return "an address that is none";
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

/** Whether the text was read; what a peer sends may be anything. */
function takes(reader: EventReader, text: string): boolean {
  try {
    return reader.take(text);
  } catch {
    return false;
  }
}

const NOTHING: Omit<ReplicaView, "url" | "reason"> = {
  state: "unknown",
  instance: undefined,
  container: undefined,
  version: undefined,
  phase: undefined,
  status: undefined,
  uptimeMs: undefined,
  nodes: [],
};

function summaryOf(data: Readonly<Record<string, unknown>>): Omit<Summary, "instance"> {
  const { container, version, phase, status, uptimeMs } = data;
  return {
    container: textOf(container),
    version: textOf(version),
    phase: textOf(phase),
    status: textOf(status),
    uptimeMs: typeof uptimeMs === "number" ? uptimeMs : undefined,
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value.slice(0, MOST_TEXT) : undefined;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
