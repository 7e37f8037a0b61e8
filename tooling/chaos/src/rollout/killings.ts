import { setTimeout as sleep } from "node:timers/promises";
import postgres, { type Sql } from "postgres";
import { Losses, Rate } from "../rate.ts";
import { Cluster, type ClusterPlan } from "./cluster.ts";

const RATE = 3;
/** A video of 20 s has 20 steps of 100 ms. */
const VIDEO = { title: "killings", sourceUrl: "https://example.com/killings.mp4", durationMs: 20_000 };
const STEPS = 20;
const VIDEOS = "/api/v1/videos";
const BETWEEN_MS = 4_000;
const PATIENCE_MS = 60_000;
const LOOK_MS = 50;

/** What a kill -9 in the middle of jobs did. */
export interface Kill {
  readonly victim: string;
  /** Jobs that were being worked on. */
  readonly jobs: number;
  /** Until the last of them was a step further, in ms. */
  readonly standstillMs: number;
}

/** What became of jobs while everything was killed. */
export interface Killings {
  readonly kills: readonly Kill[];
  /** Videos and jobs that were answered with 201 and 202. */
  readonly acknowledged: number;
  /** Those that are not in the database. */
  readonly gone: number;
  /** Requests that were not answered so, by what happened: they may be made again. */
  readonly refused: ReadonlyMap<string, number>;
  readonly jobs: number;
  /** Those that are not done. */
  readonly undone: number;
  /** Those whose result was written more than once. */
  readonly twice: number;
  /** Those whose result is not that of every step, done once and in order. */
  readonly wrong: number;
}

/** What of the renderer says what a result has to be. */
interface Rendering {
  beginningOf(source: { readonly url: string; readonly durationMs: number }): unknown;
  stepAfter(checkpoint: unknown): unknown;
}

/** Notes every time a result is written, in the transaction that writes it. */
const WITNESS = `
  create table killings_done (job uuid not null);
  create function killings_note() returns trigger language plpgsql as $$
    begin insert into killings_done values (new.id); return new; end $$;
  create trigger killings_witness after update on processing_jobs for each row
    when (new.status = 'done') execute function killings_note();`;

/** Asks for three jobs a second, and kills every replica, Postgres and Redis in their middle. */
export async function killings(plan: ClusterPlan, say: (what: string) => void): Promise<Killings> {
  await using cluster = await Cluster.start(plan);
  const sql = postgres(cluster.shared.database.url, { max: 1, onnotice: () => {} });
  await sql.unsafe(WITNESS);
  const customers = new Customers(cluster);
  const kills: Kill[] = [];
  for (const { victim, kill } of victimsOf(cluster, plan)) {
    await sleep(BETWEEN_MS);
    const one = await killOne(sql, victim, kill);
    say(`kill -9 of ${victim}: ${one.jobs} jobs stood still for ${Math.round(one.standstillMs)} ms at most`);
    kills.push(one);
  }
  await customers.end();
  const found = await countAll(sql, plan, customers);
  await sql.end();
  return { kills, ...found };
}

function victimsOf(cluster: Cluster, { app }: ClusterPlan) {
  const { database, redis } = cluster.shared;
  const replicas = cluster.pairs.map((_, index) => ({
    victim: `replica ${index + 1}`,
    kill: async (): Promise<void> => {
      const pair = cluster.pairs[index];
      await Promise.all([pair?.clips.endAfter("SIGKILL"), pair?.renderer.endAfter("SIGKILL")]);
      await cluster.again(app, index);
    },
  }));
  const servers = Object.entries({ Postgres: database, ...(redis === undefined ? {} : { Redis: redis }) });
  return [
    ...replicas,
    ...servers.map(([victim, server]) => ({
      victim,
      kill: async (): Promise<void> => {
        await server.kill("SIGKILL");
        await server.restart();
      },
    })),
  ];
}

async function killOne(sql: Sql, victim: string, kill: () => Promise<void>): Promise<Kill> {
  let open: readonly { id: string }[] = [];
  while (open.length === 0) {
    open = await sql<{ id: string }[]>`select id from processing_jobs where status = 'processing'`;
    if (open.length === 0) await sleep(LOOK_MS);
  }
  const ids = open.map(({ id }) => id);
  const [now] = await sql<{ at: Date }[]>`select now() as at`;
  const since = performance.now();
  const killed = kill();
  let standstillMs = Number.NaN;
  for (let left = ids.length; left > 0 && performance.now() - since < PATIENCE_MS; await sleep(LOOK_MS)) {
    const moved = sql<{ left: number }[]>`
      select count(*)::int as left from processing_jobs
      where id in ${sql(ids)} and status <> 'done' and updated_at <= ${now?.at ?? new Date()}`;
    left = (await moved.then(([row]) => row?.left).catch(() => undefined)) ?? left; // the database may be down
    if (left === 0) standstillMs = performance.now() - since;
  }
  await killed;
  return { victim, jobs: ids.length, standstillMs };
}

/** Those who add videos and have them processed, and remember what was acknowledged. */
class Customers {
  readonly videos: string[] = [];
  readonly jobs: string[] = [];
  readonly refused = new Losses();
  readonly #rate: Rate;

  constructor({ balancer }: Cluster) {
    const post = async (path: string, body: unknown, wanted: number): Promise<{ readonly id: string }> => {
      const answer = await balancer.request(path, body);
      if (answer.status !== wanted) throw new Error(`status ${answer.status}`);
      return JSON.parse(answer.body) as { readonly id: string }; // of what was made
    };
    this.#rate = new Rate(RATE, async () => {
      try {
        const { id } = await post(VIDEOS, VIDEO, 201);
        this.videos.push(id);
        this.jobs.push((await post(`${VIDEOS}/${id}/process`, {}, 202)).id);
      } catch (error) {
        this.refused.add(error);
      }
    });
  }

  end(): Promise<void> {
    return this.#rate.end();
  }
}

async function countAll(sql: Sql, { app }: ClusterPlan, { videos, jobs, refused }: Customers) {
  const isOpen = async (): Promise<boolean> => {
    const rows = await sql`select 1 from processing_jobs where status in ('queued', 'processing') limit 1`;
    return rows.length > 0;
  };
  for (const until = performance.now() + PATIENCE_MS; performance.now() < until && (await isOpen());)
    await sleep(LOOK_MS);
  const { beginningOf, stepAfter } = (await import(app("renderer/render.js"))) as Rendering; // as above
  let place = beginningOf({ url: VIDEO.sourceUrl, durationMs: VIDEO.durationMs });
  for (let step = 0; step < STEPS; step++) place = stepAfter(place);
  const { state } = place as { readonly state: Buffer }; // of the renderer
  const known = await sql<{ id: string }[]>`select id from videos where id in ${sql(videos)}`;
  const rows = await sql<{ id: string; status: string; checkpoint: Buffer | null; done: number }[]>`
    select id, status, checkpoint, (select count(*)::int from killings_done where job = id) as done
    from processing_jobs`;
  const held = new Set(rows.map(({ id }) => id));
  return {
    acknowledged: videos.length + jobs.length,
    gone: videos.length - known.length + jobs.filter((id) => !held.has(id)).length,
    refused: refused.counts,
    jobs: rows.length,
    undone: rows.filter(({ status }) => status !== "done").length,
    twice: rows.filter(({ done }) => done > 1).length,
    wrong: rows.filter(({ checkpoint }) => checkpoint === null || !state.equals(checkpoint)).length,
  };
}
