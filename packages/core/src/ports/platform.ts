import type { SqlRunner } from "./storage.ts";

/** How long a cached value may be used, and what makes it void. */
export interface CacheOptions {
  /** How long it is fresh, in ms. Default: the cache's. */
  readonly ttlMs?: number | undefined;
  /** How long after that it may be given while a new one is loaded, in ms. Default: the cache's. */
  readonly staleMs?: number | undefined;
  /** Names by which it is made void together with others. */
  readonly tags?: readonly string[] | undefined;
}

/** Keeps answers, so that they are not worked out again for each request. */
export interface ResponseCache {
  /** The stored value, or the one that `load` gives. Callers at the same time share one load. */
  getOrLoad<T>(
    key: string | readonly (string | number | bigint | boolean)[],
    load: (signal: AbortSignal) => Promise<T>,
    options?: CacheOptions,
  ): Promise<T>;
}

/** Something that was done, or was refused. */
export interface AuditEvent {
  /** What, such as `video.deleted`. */
  readonly action: string;
  /** Id of the user or service that did it. */
  readonly actor: string;
  /** To what, such as `video:7`. */
  readonly target: string;
  readonly outcome: "success" | "failure" | "denied";
  readonly reason?: string | undefined;
  /** More of it, without secrets. */
  readonly detail?: Readonly<Record<string, unknown>> | undefined;
}

/** Keeps a record of who did what. */
export interface Audit {
  /** Resolves when it is stored. `in` stores it in an open transaction of the caller: both last, or neither does. */
  record(event: AuditEvent, options?: { readonly in?: SqlRunner | undefined }): Promise<void>;
}
