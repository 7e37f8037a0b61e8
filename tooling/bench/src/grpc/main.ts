// node dist/grpc/main.js: this benchmark alone.
import { markdown, targetTable } from "../harness/report.ts";
import { grpcBench } from "./bench.ts";

const { targets, tables } = await grpcBench({ rounds: 15, nodes: [], say: (what) => console.error(`  ${what}`) });
console.log([...tables, targetTable(targets)].map(markdown).join("\n"));
