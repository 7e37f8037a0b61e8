export { SAMPLE_CODES, type SampleCode } from "./errors.ts";
export { sample, SampleManager, type SampleClient } from "./manager.ts";
export type { SampleOptions } from "./options.ts";
