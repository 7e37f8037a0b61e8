export { fetchOver, type HttpFetch, type HttpFetchInit } from "./fetch.ts";
export type { FetchedResponse } from "./response.ts";
