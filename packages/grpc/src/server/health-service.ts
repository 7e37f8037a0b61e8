import {
  status as codes,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { ServingStatus } from "../proto/codec.ts";

interface Asked {
  readonly service: string;
}
interface Answer {
  readonly status: ServingStatus;
}
type Watcher = ServerWritableStream<Asked, Answer>;

/** `grpc.health.v1` of a server: what it says of itself and of its services, and who watches that. */
export class HealthService {
  readonly #statuses = new Map<string, ServingStatus>();
  readonly #watchers = new Map<string, Set<Watcher>>();
  #isDraining = false;

  constructor() {
    this.add("");
  }

  /** A service that is served from now on; whatever was said of it before holds. */
  add(service: string): void {
    if (!this.#statuses.has(service)) this.#say(service, this.#isDraining ? "NOT_SERVING" : "SERVING");
  }

  /** At a start: everything serves again. */
  begin(): void {
    this.#isDraining = false;
    for (const service of this.#statuses.keys()) this.#statuses.set(service, "SERVING");
  }

  get(service: string): ServingStatus {
    return this.#statuses.get(service) ?? "SERVICE_UNKNOWN";
  }

  /** Does nothing in a drain: that the server goes is all there is to say then. */
  set(service: string, status: ServingStatus): void {
    if (!this.#isDraining) this.#say(service, status);
  }

  #say(service: string, status: ServingStatus): void {
    if (this.#statuses.get(service) === status) return;
    this.#statuses.set(service, status);
    for (const watcher of this.#watchers.get(service) ?? []) watcher.write({ status });
  }

  /** Says of everything that it does not serve, and ends the watches: they have no end of their own. */
  drain(): void {
    this.#isDraining = true;
    for (const service of this.#statuses.keys()) this.#say(service, "NOT_SERVING");
    for (const watchers of this.#watchers.values()) for (const watcher of watchers) watcher.end();
    this.#watchers.clear();
  }

  /** Its methods for a server of grpc-js. Past the guard: a full server is not a dead one. */
  get methods(): UntypedServiceImplementation {
    return {
      Check: (call: ServerUnaryCall<Asked, Answer>, answer: sendUnaryData<Answer>) => {
        const status = this.#statuses.get(call.request.service);
        if (status !== undefined) answer(null, { status });
        else answer({ code: codes.NOT_FOUND, details: `no service "${call.request.service}" here` });
      },
      Watch: (call: Watcher) => this.#watch(call),
    };
  }

  #watch(call: Watcher): void {
    const { service } = call.request;
    call.write({ status: this.get(service) });
    // One that was under way when the drain began would keep it from ending.
    if (this.#isDraining) return void call.end();
    const watchers = this.#watchers.get(service) ?? new Set();
    this.#watchers.set(service, watchers.add(call));
    call.on("cancelled", () => watchers.delete(call));
  }
}
