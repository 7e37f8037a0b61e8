// node dist/websocket/main.js: this benchmark alone.
import { ownNode } from "../harness/process.ts";
import { markdown, targetTable } from "../harness/report.ts";
import { websocketBench } from "./bench.ts";

const { targets, tables } = await websocketBench({
  rounds: 9,
  nodes: [ownNode().major],
  say: (what) => console.error(`  ${what}`),
});
console.log([...tables, targetTable(targets)].map(markdown).join("\n"));
