// node dist/websocket/main.js: this benchmark alone.
import { markdown, targetTable } from "../harness/report.ts";
import { websocketBench } from "./bench.ts";

const { targets, tables } = await websocketBench({ rounds: 15, nodes: [], say: (what) => console.error(`  ${what}`) });
console.log([...tables, targetTable(targets)].map(markdown).join("\n"));
