import { runMain, type ManagementListener, type RunningContainer, type ShutdownInfo } from "@steward/container";
import { banner } from "./banner.ts";
import { clips } from "./clips.ts";
import { openManagement } from "./management.ts";
import { environment } from "./settings.ts";

// The reader of our output has gone (`npm start | head`); that is no reason to end in disorder.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function shutdownWords({ reason, delayMs }: ShutdownInfo): string {
  return `Clips stops (${reason})${delayMs > 0 ? `, taking requests for another ${delayMs} ms` : ""} ...`;
}

let management: ManagementListener | undefined;

async function ready(running: RunningContainer): Promise<void> {
  management = await openManagement(running);
  if (management !== undefined) say(`Operators of this machine are served at ${management.url}`);
  say(banner(running));
}

async function stopped(durationMs: number): Promise<void> {
  await management?.stop();
  say(`Clips has stopped everything in ${Math.round(durationMs)} ms.`);
}

await runMain(clips, {
  inputs: [environment.is(process.env)],
  onReady: ready,
  onShutdown: (info) => say(shutdownWords(info)),
  onStopped: stopped,
});
