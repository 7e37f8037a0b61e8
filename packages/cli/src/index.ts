export { CLI_CODES, type CliCode } from "./errors.ts";
export { runCli, type CliOptions } from "./run.ts";
export { graphSvg } from "./svg.ts";
