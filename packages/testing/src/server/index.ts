export type { ServerAdapter, SuiteRoute, SuiteServer, SuiteSettings } from "./adapter.ts";
export { serverContract, type ServerRunner } from "./suite.ts";
