export type { SampleClient } from "./client.ts";
export { SAMPLE_CODES, type SampleCode } from "./errors.ts";
export { sample, SampleManager } from "./manager.ts";
export type { SampleOptions, SampleEndpoint } from "./options.ts";
