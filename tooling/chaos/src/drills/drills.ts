import type { Row, Table } from "@steward/harness";
import { ARMS, type ArmName, type Backend, type DriverName } from "../drivers/driver.ts";
import { frozenClose } from "./frozen-close.ts";
import { lostReplies } from "./lost-replies.ts";
import { slowCall } from "./slow-call.ts";
import { waiters } from "./waiters.ts";

/** A figure of a drill, of one client. */
export type DrillFigures = Readonly<Record<string, string | number>>;

/** What a drill found: figures of each client, and our verdicts. */
export interface Found {
  readonly drill: string;
  readonly driver: DriverName;
  readonly clients: Readonly<Record<string, DrillFigures>>;
  readonly rows: readonly Row[];
}

/** What is no fault under load: one client after the other on one server. */
export interface Drill {
  /** Which drivers know it. Default: all. */
  readonly only?: readonly DriverName[];
  readonly one: (driver: DriverName, backend: Backend, arm: ArmName) => Promise<DrillFigures>;
  readonly judge: (driver: DriverName, ours: DrillFigures) => readonly Row[];
}

const ALL: Readonly<Record<string, Drill>> = {
  "lost-replies": lostReplies,
  "slow-call": slowCall,
  "frozen-close": frozenClose,
  waiters: { only: ["http", "database", "redis"], ...waiters }, // the others have no places to wait for
};

/** Drills by the name that picks them. */
export const DRILLS: Readonly<
  Record<string, Pick<Drill, "only"> & { readonly run: (driver: DriverName, backend: Backend) => Promise<Found> }>
> = Object.fromEntries(Object.entries(ALL).map(([name, drill]) => [name, { ...drill, run: runner(name, drill) }]));

function runner(drill: string, { one, judge }: Drill) {
  return async (driver: DriverName, backend: Backend): Promise<Found> => {
    const clients: Record<string, DrillFigures> = {};
    for (const arm of ARMS) clients[arm] = await one(driver, backend, arm);
    return { drill, driver, clients, rows: judge(driver, clients["ours"] ?? {}) };
  };
}

/** Figures of all clients. */
export function drillTable(all: readonly Found[]): Table {
  const words = (figures: DrillFigures): string =>
    Object.entries(figures)
      .map(([name, value]) => `${name} ${value}`)
      .join(", ");
  const rows = all.flatMap(({ drill, driver, clients }) =>
    Object.entries(clients).map(([arm, figures]) => [drill, driver, arm, words(figures)]),
  );
  return { title: "Drills", columns: ["drill", "driver", "client", "figures"], rows };
}
