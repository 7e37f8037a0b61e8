import type { Page, Request } from "./graph.ts";

/** One way to serve a request with the graph: of a container, at certain settings. */
export interface ScopeVariant {
  /** Distinguishes the ways of one container. */
  readonly name: string;
  /** Sets the container up, once. */
  open(): ScopeRunner | Promise<ScopeRunner>;
}

/** What keeps a scope alive. */
export type Held = readonly unknown[];

/** Serves requests. `sync` where the container can, else `wait`; both open a scope, resolve the page and release. */
export interface ScopeRunner {
  readonly sync?: (request: Request) => Page;
  readonly wait?: (request: Request) => Promise<Page>;
  /** Opens a scope, resolves the page and gives what has to be kept so that both stay alive. */
  readonly hold?: (request: Request) => Held | Promise<Held>;
  /** True where a synchronous run never gives memory back, so that the event loop has to turn now and then. */
  readonly needsTurns?: boolean;
}

/** CPU of one request in one process, in ns. */
export interface CpuOfScope {
  readonly medianNs: number;
  readonly bestNs: number;
}
