import { join } from "node:path";
import { type BarText, estimate, type Findings, measureIn, type Row, ratios, row } from "@steward/harness";
import type { Settings } from "../settings.ts";

/** Does a piece of work so often. */
export type Run = (count: number) => Promise<void>;

/** Contenders for one piece of work that share a process, a server and a moment. */
export interface Group {
  readonly work: string;
  readonly runs: Readonly<Record<string, Run>>;
}

/** What a module of such contenders opens; it exports `open(): Promise<Opened>`. */
export interface Opened extends AsyncDisposable {
  readonly groups: readonly Group[];
  /** CPU of a batch in ms; default 80. */
  readonly batchMs?: number;
}

/** CPU of the process in us for one piece of work, one figure for each contender and pair. */
export interface Together {
  readonly work: string;
  readonly us: Readonly<Record<string, readonly number[]>>;
}

/** Pairs for each round: a busy machine is another one a second later. */
const PAIRS_PER_ROUND = 3;

/** Runs a module of contenders in a process of its own. */
export async function together(module: string, { rounds, node, say }: Settings): Promise<readonly Together[]> {
  say(module);
  const args = [module, String(PAIRS_PER_ROUND * rounds)];
  return (await measureIn({ node }, join(import.meta.dirname, "together-run.js"), args)) as readonly Together[]; // it prints them
}

/** Calls, `width` of them at once. */
export function lanes(width: number, call: () => PromiseLike<unknown>): Run {
  return async (count) => {
    let left = count;
    const lane = async (): Promise<void> => {
      while (left-- > 0) await call();
    };
    await Promise.all(Array.from({ length: width }, lane));
  };
}

/** One of ours beside one of the others: `other / ours`, pair by pair, so above 1 ours takes less. */
export interface Beside {
  readonly area: string;
  readonly ours: string;
  readonly raw?: string;
  readonly rival?: string;
  readonly bar?: BarText;
}

/** A row for a group: ours beside the raw client, or beside a rival. */
export function besideRow({ work, us }: Together, { area, ours, raw, rival, bar }: Beside): Row {
  const figure = (name: string): readonly number[] => us[name] ?? [];
  const named = (name: string) => ({ name, figure: estimate(figure(name)) });
  const other = raw ?? rival ?? ours;
  return row({
    area,
    work: `${work}: ${ours}`,
    unit: "us CPU",
    limit: raw === undefined ? undefined : named(raw),
    rival: rival === undefined ? undefined : named(rival),
    ours: estimate(figure(ours)),
    ratio: { of: raw === undefined ? "rival / ours" : "limit / ours", figure: ratios(figure(other), figure(ours)) },
    bar,
  });
}

/** All contenders as a table. */
export function togetherTable(
  title: string,
  all: readonly Together[],
  note?: string,
): NonNullable<Findings["tables"]>[number] {
  const rows = all.flatMap(({ work, us }) =>
    Object.entries(us).map(([name, figures]) => [work, name, estimate(figures)]),
  );
  return { title, columns: ["work", "contender", "us CPU"], rows, note };
}
