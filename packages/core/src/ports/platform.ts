import type { SqlRunner } from "./storage.ts";

/** How long a cached value may be used, and what makes it void. */
export interface CacheOptions {
  /** How long it is fresh, in ms. Default: the cache's. */
  readonly ttlMs?: number | undefined;
  /** How long after that it may be given while a new one is loaded, in ms. Default: the cache's. */
  readonly staleMs?: number | undefined;
  /** Names by which it is made void together with others. */
  readonly tags?: readonly string[] | undefined;
  /**
   * True: one whose call begins the load of a new value gets that one, or the old one where the load fails; all others
   * get the old one meanwhile.
   */
  readonly waitForRefresh?: boolean | undefined;
}

/** An answer as it is cached; it can be written as JSON. */
export interface CachedResponse {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** How `body` stands for the bytes. */
  readonly encoding: "utf8" | "base64";
  /** A strong validator, with its quotes. */
  readonly etag: string;
  /** When it was made, in ms since 1970, by the clock of who made it. */
  readonly madeAt: number;
}

/** Keeps answers, so that they are not worked out again for each request. */
export interface ResponseCache {
  /** The stored answer, or the one that `load` gives. Callers at the same time share one load. */
  getOrLoad(
    key: string,
    load: (signal: AbortSignal) => Promise<CachedResponse>,
    options?: CacheOptions,
  ): Promise<CachedResponse>;
}

/** Something that was done, or was refused. */
export interface AuditEvent {
  /** What, such as `video.deleted`. */
  readonly action: string;
  /** Id of the user or service that did it. Default: whom the request is made by, where that is known. */
  readonly actor?: string | undefined;
  /** To what, such as `video:7`. */
  readonly target: string;
  readonly outcome: "success" | "failure" | "denied";
  readonly reason?: string | undefined;
  /** Address that it came from; only its network is kept. */
  readonly ip?: string | undefined;
  /** More of it, without secrets. Personal data by reference: an entry cannot be changed later. */
  readonly detail?: Readonly<Record<string, unknown>> | undefined;
}

/** Keeps a record of who did what. */
export interface Audit {
  /**
   * Resolves when it is stored, or, where losses are allowed and counted, taken. `in` stores it in an open transaction
   * of the caller: both last, or neither does.
   */
  record(event: AuditEvent, options?: { readonly in?: SqlRunner | undefined }): Promise<void>;
}

/** An error that no one handled, as it may leave the process: without secrets. */
export interface ErrorReport {
  /** Class of the error. */
  readonly type: string;
  readonly message: string;
  /** Its stable code, where it has one. */
  readonly code: string | undefined;
  /** Where it was made: lines of its stack. */
  readonly stack: string | undefined;
  /** What it came out of, such as `request`, `task`, `rpc` or `background`. */
  readonly source: string;
  /** Name of the resource, the task or the method, where there is one. */
  readonly name: string | undefined;
  readonly requestId: string | undefined;
  /** How many equal ones came since the last report of it, this one included. */
  readonly count: number;
}

/** Takes errors that no one handled to where people look at them. */
export interface ErrorReporter {
  /** Takes one. What it throws is counted, and changes nothing else. */
  report(report: ErrorReport): Promise<void> | void;
}

/** An answer as it is kept for clients that ask again. */
export interface KeptAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** `undefined` where it was sent part by part, or is too long to be kept. */
  readonly body: Uint8Array | undefined;
}

/** What stands under a key of idempotency. */
export interface IdempotencyEntry {
  /** Hash of the request that took the key. */
  readonly fingerprint: string;
  /** `undefined` while that request is being answered. */
  readonly answer: KeptAnswer | undefined;
}

/** Keeps answers by the key of their request, so that a request that is sent again is done once. */
export interface IdempotencyStore {
  /**
   * Takes a key for `owner`, for `lockMs` at most; `undefined` where that has worked, else what stands under it. Of
   * several at the same moment one gets it.
   */
  begin(
    key: string,
    claim: { readonly owner: string; readonly fingerprint: string; readonly lockMs: number },
  ): Promise<IdempotencyEntry | undefined>;
  /** Keeps the answer for `ttlMs`, where the key is still `owner`'s. */
  finish(key: string, owner: string, answer: KeptAnswer, ttlMs: number): Promise<void>;
  /** Gives the key up without an answer, where it is still `owner`'s. */
  release(key: string, owner: string): Promise<void>;
}
