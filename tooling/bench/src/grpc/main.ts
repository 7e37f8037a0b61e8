// node dist/grpc/main.js [faults | unary] [major of Node ...]: this benchmark, or a part of it.
import { ownNode } from "../harness/process.ts";
import { markdown, targetTable } from "../harness/report.ts";
import { faultsBench, grpcBench, unaryBench } from "./bench.ts";

const [part, ...majors] = process.argv.slice(2);
const bench = part === "faults" ? faultsBench : part === "unary" ? unaryBench : grpcBench;
const nodes = majors.length > 0 ? majors.map(Number) : [ownNode().major];
const { targets, tables } = await bench({ rounds: 15, nodes, say: (what) => console.error(`  ${what}`) });
console.log([...tables, targetTable(targets)].map(markdown).join("\n"));
