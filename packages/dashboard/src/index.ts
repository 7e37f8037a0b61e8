export { dashboard, type Dashboard } from "./dashboard.ts";
export { DASHBOARD_CODES, type DashboardCode } from "./errors.ts";
export type { DashboardOptions } from "./options.ts";
export type { JournalEntry, JournalKind } from "./recorder/journal.ts";
export type { LatencyView } from "./recorder/latencies.ts";
export type { ProcessView } from "./recorder/process.ts";
export type { DashboardSource, SourceHealth, SourceNode, SourceReport } from "./source.ts";
export type { DashboardNeed, DashboardNode, DashboardView } from "./view.ts";
