export { type Estimate, estimate, median, randomFrom, ratios } from "@steward/harness";
