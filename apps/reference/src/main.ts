import { runMain, type ManagementListener, type RunningContainer, type ShutdownInfo } from "@steward/container";
import { dashboard } from "@steward/dashboard";
import { banner } from "./banner.ts";
import { clips } from "./clips.ts";
import { dashboardOptions, openManagement } from "./management.ts";
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
// From here on its journal is kept, so that it shows the start too.
const options = dashboardOptions(process.env);
const board = dashboard(options);

async function ready(running: RunningContainer): Promise<void> {
  management = await openManagement(running, board);
  if (management !== undefined) {
    say(`Operators of this machine are served at ${management.url}`);
    const url = `${management.url}/steward/`;
    // What operators have chosen stands in no log; what this start has made is known from here alone.
    say(`The dashboard is at ${options.token === undefined ? board.link(url) : `${url}?t=<CLIPS_ADMIN_TOKEN>`}`);
  }
  say(banner(running));
}

async function stopped(durationMs: number): Promise<void> {
  board.close();
  await management?.stop();
  say(`Clips has stopped everything in ${Math.round(durationMs)} ms.`);
}

await runMain(clips, {
  inputs: [environment.is(process.env)],
  onReady: ready,
  onShutdown: (info) => say(shutdownWords(info)),
  onStopped: stopped,
});
