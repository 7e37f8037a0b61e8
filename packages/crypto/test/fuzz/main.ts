import { fuzz } from "./fuzz.ts";

const [mutations = "100000", seed = String(Date.now() % 1_000_000)] = process.argv.slice(2);
const report = await fuzz(Number(mutations), Number(seed));
console.log(JSON.stringify({ seed: Number(seed), ...report }, undefined, 2));
process.exitCode = report.faults.length === 0 ? 0 : 1;
