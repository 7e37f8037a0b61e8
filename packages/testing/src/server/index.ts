export type { ServerAdapter, SuiteRoute, SuiteServer, SuiteSettings } from "./adapter.ts";
export { serverContract } from "./suite.ts";
