import { runMain, type RunningContainer, type ShutdownInfo } from "@steward/container";
import { banner } from "./operators/banner.ts";
import { clips } from "./clips.ts";
import { Management } from "./operators/management.ts";
import { log } from "./resources/log.ts";
import { environment } from "./settings.ts";
import { demoUser } from "./users/demo.ts";

// The reader of our output has gone (`npm start | head`); that is no reason to end in disorder.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function shutdownWords({ reason, delayMs }: ShutdownInfo): string {
  return `Clips stops (${reason})${delayMs > 0 ? `, taking requests for another ${delayMs} ms` : ""} ...`;
}

/** Whether this is one of several replicas, which their parent has started: it says what there is to say. */
const isReplica = process.send !== undefined;
const orphaned = (): void => void process.kill(process.pid, "SIGTERM");
// The parent may have been killed while the imports above were loaded, which takes a second.
if (isReplica && !process.connected) orphaned();
else if (isReplica) process.once("disconnect", orphaned);

const management = new Management(process.env, isReplica ? () => {} : say);

async function ready(running: RunningContainer): Promise<void> {
  management.started(running);
  if (isReplica) process.send?.("ready");
  else say(banner(running));
  const words = (login: string, password: string): void =>
    say(`  Sign in as ${login} with the password ${password}. It is not shown again.\n`);
  await running
    .get(demoUser)
    ?.introduce(words)
    .catch((error: unknown) =>
      running.get(log).warn({ err: error }, "no first user was made; the next start tries again"),
    );
}

await runMain(clips, {
  inputs: [environment.is(process.env)],
  management: management.options,
  onReady: ready,
  onShutdown: (info) => say(shutdownWords(info)),
  onStopped: (durationMs) => say(`Clips has stopped everything in ${Math.round(durationMs)} ms.`),
});
