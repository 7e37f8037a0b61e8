export { collectInto } from "./prometheus/collector.ts";
