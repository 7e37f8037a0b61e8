import { randomUUID } from "node:crypto";
import { currentContext, resource, systemClock, type Clock } from "@steward/core";
import type { Database } from "@steward/database";
import { and, desc, eq, inArray, lte, sql, type SQL } from "drizzle-orm";
import type { PgUpdateSetSource } from "drizzle-orm/pg-core";
import type { Rendered } from "../renderer/render.ts";
import { db } from "../resources/stores.ts";
import { settings } from "../settings.ts";
import { noVideo } from "../videos/input.ts";
import { Lease } from "./lease.ts";
import { jobs as table, type StoredJob } from "./table.ts";

/** A job as callers of the API and listeners of its room see it. */
export type Job = Pick<
  StoredJob,
  "id" | "videoId" | "status" | "stage" | "progress" | "attempt" | "error" | "createdAt" | "updatedAt"
>;

/** A job that this instance processes. */
export interface Claim {
  readonly job: StoredJob;
  readonly lease: Lease;
}

/** Why a job goes back. */
export interface Release {
  /** How long no one may take it, in ms. */
  readonly delayMs: number;
  /** What went wrong; without it nothing did. */
  readonly error?: string;
}

const MOST_LOOKS = 5;

/** The processing jobs of all instances: rows in Postgres, each in the hands of one instance at most. */
export class Jobs {
  readonly #db: Database;
  readonly #leaseMs: number;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();

  constructor(database: Database, leaseMs: number, clock: Clock) {
    this.#db = database;
    this.#leaseMs = leaseMs;
    this.#clock = clock;
  }

  /** How long a job stays with an instance that gives no sign of life, in ms. */
  get leaseMs(): number {
    return this.#leaseMs;
  }

  /** Calls `listener` when this instance has queued a job, until the returned function is called. */
  onQueued(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * The open job of a video, or a new one where there is none.
   * @throws {HttpError} 404 where the video was deleted a moment ago.
   */
  async open(videoId: string): Promise<StoredJob> {
    for (let look = 0; look < MOST_LOOKS; look++) {
      const added = await this.queue(videoId, this.#db).catch((error: unknown) => {
        throw isOfDeletedVideo(error) ? noVideo(videoId) : error;
      });
      if (added !== undefined) this.wake();
      const [found] = added === undefined ? await this.#latest(and(eq(table.videoId, videoId), isOpen())) : [added];
      if (found !== undefined) return found;
      // It has ended between the two statements.
    }
    throw new Error(`the jobs of video ${videoId} end faster than they can be looked at`);
  }

  /**
   * Queues a job for a video, unless it has an open one.
   *
   * @param within A transaction of the caller, which commits the job or not with all else; `wake` comes after it.
   */
  async queue(videoId: string, within: Pick<Database, "insert">): Promise<StoredJob | undefined> {
    const trace = currentContext()?.traceContext ?? null;
    const [added] = await within.insert(table).values({ videoId, trace }).onConflictDoNothing().returning();
    return added;
  }

  /** Has this instance look for jobs now; in any case it does so every second. */
  wake(): void {
    for (const listener of this.#listeners) listener();
  }

  /** The last job of a video. */
  async last(videoId: string): Promise<StoredJob | undefined> {
    const [found] = await this.#latest(eq(table.videoId, videoId));
    return found;
  }

  /** The last job of each of these videos that has one. */
  lastOf(videoIds: readonly string[]): Promise<StoredJob[]> {
    return this.#db
      .selectDistinctOn([table.videoId])
      .from(table)
      .where(inArray(table.videoId, [...videoIds]))
      .orderBy(table.videoId, desc(table.createdAt));
  }

  #latest(condition: SQL | undefined): Promise<StoredJob[]> {
    return this.#db.select().from(table).where(condition).orderBy(desc(table.createdAt)).limit(1);
  }

  /** Whether a job waits for somebody to take it. */
  async isAnyDue(): Promise<boolean> {
    return (await this.#due()).length > 0;
  }

  #due() {
    const condition = and(isOpen(), lte(table.dueAt, sql`now()`));
    return this.#db.select({ id: table.id }).from(table).where(condition).orderBy(table.dueAt).limit(1);
  }

  /** Takes a job that is due: a queued one, or one whose instance has given no sign of life for the length of a lease. */
  async claim(): Promise<Claim | undefined> {
    const holder = randomUUID();
    const since = this.#clock.now();
    const [job] = await this.#db
      .update(table)
      .set({
        status: "processing",
        holder,
        dueAt: this.#leaseEnd(),
        attempt: sql`${table.attempt} + 1`,
        failures: sql`${table.failures} + case when ${table.status} = 'processing' then 1 else 0 end`,
        updatedAt: sql`now()`,
      })
      .where(eq(table.id, this.#due().for("update", { skipLocked: true })))
      .returning();
    return job && { job, lease: new Lease(holder, this.#leaseMs, this.#clock, since) };
  }

  #leaseEnd(): SQL {
    return later(this.#leaseMs);
  }

  // Each of these throws RESOURCE_UNAVAILABLE when the job is not ours any more.

  /** Keeps a job that takes longer than a lease. */
  renew(claim: Claim): Promise<StoredJob> {
    return this.#change(claim, { dueAt: this.#leaseEnd() });
  }

  /** Keeps what has been rendered, and the job. */
  advance(claim: Claim, { stage, percent, checkpoint }: Rendered): Promise<StoredJob> {
    return this.#change(claim, {
      stage,
      progress: percent,
      position: checkpoint.position,
      checkpoint: checkpoint.state,
      failures: 0,
      error: null,
      dueAt: this.#leaseEnd(),
      updatedAt: sql`now()`,
    });
  }

  finish(claim: Claim): Promise<StoredJob> {
    return this.#change(claim, { status: "done", progress: 100, error: null, holder: null, updatedAt: sql`now()` });
  }

  fail(claim: Claim, error: string): Promise<StoredJob> {
    return this.#change(claim, { status: "failed", error, holder: null, updatedAt: sql`now()` });
  }

  /** Gives a job back, for this or another instance to go on with. */
  release(claim: Claim, { delayMs, error }: Release): Promise<StoredJob> {
    return this.#change(claim, {
      status: "queued",
      holder: null,
      dueAt: later(delayMs),
      updatedAt: sql`now()`,
      ...(error === undefined ? {} : { error, failures: sql`${table.failures} + 1` }),
    });
  }

  /** Changes a job that is still ours, and only such. */
  async #change({ job, lease }: Claim, changes: PgUpdateSetSource<typeof table>): Promise<StoredJob> {
    lease.check();
    const since = this.#clock.now();
    const [changed] = await this.#db
      .update(table)
      .set(changes)
      .where(and(eq(table.id, job.id), eq(table.holder, lease.holder)))
      .returning();
    if (changed === undefined) throw lease.lose("it has been taken, or its video was deleted");
    lease.extend(since);
    return changed;
  }
}

function isOpen(): SQL {
  return inArray(table.status, ["queued", "processing"]);
}

function later(ms: number): SQL {
  return sql`now() + ${ms} * interval '1 millisecond'`;
}

/** What Postgres calls it that a job is of a video. */
const OF_VIDEO = "processing_jobs_video_id_videos_id_fk";

/** Whether a statement, by Drizzle, came after the end of its video. */
function isOfDeletedVideo(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && "constraint_name" in cause && cause.constraint_name === OF_VIDEO;
}

/** What others see of a job. */
export function publicJob({
  id,
  videoId,
  status,
  stage,
  progress,
  attempt,
  error,
  createdAt,
  updatedAt,
}: StoredJob): Job {
  return { id, videoId, status, stage, progress, attempt, error, createdAt, updatedAt };
}

/** The processing jobs. */
export const jobs = resource("jobs", {
  needs: { db, settings },
  start: ({ db, settings }) => new Jobs(db, settings.leaseMs, systemClock),
});
