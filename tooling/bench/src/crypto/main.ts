// node dist/crypto/main.js [turns | streams | messages]: this benchmark alone.
import { markdown, targetTable } from "../harness/report.ts";
import { messagesBench } from "./messages.ts";
import { streamsBench } from "./streams.ts";
import { turnsBench } from "./turns.ts";

const only = process.argv[2];
const benches = {
  turns: () => turnsBench(),
  streams: () => streamsBench(),
  messages: () => messagesBench({ rounds: 15, say: console.error }),
};
for (const [name, bench] of Object.entries(benches)) {
  if (only !== undefined && only !== name) continue;
  const { targets, tables } = await bench();
  console.log([...tables, targetTable(targets)].map(markdown).join("\n"));
}
