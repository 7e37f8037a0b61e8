// npm run train [-- seed]: trains the score model once, as POST /api/v1/training-jobs does. Ctrl-C ends it at a step; the
// next run, or Clips itself, goes on there.
import { setTimeout as sleep } from "node:timers/promises";
import { container } from "@steward/container";
import { environment } from "../settings.ts";
import { trainingJobs } from "./jobs.ts";

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

const seed = Number(process.argv[2] ?? 7);
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort());

await using running = await container([trainingJobs], { name: "train" }).start([
  environment.is({ LOG_LEVEL: "warn", ...process.env }),
]);
const jobs = running.get(trainingJobs);
let job = await jobs.open({ seed });
while (!stop.signal.aborted && (job.status === "queued" || job.status === "training")) {
  await sleep(200, undefined, { signal: stop.signal }).catch(() => {});
  job = (await jobs.find(job.id)) ?? job;
  say(`${job.id}: ${job.status}, step ${job.step} of ${job.steps}, loss ${job.loss?.toFixed(4) ?? "-"}`);
}
if (job.accuracy !== null)
  say(
    `right about ${(100 * job.accuracy).toFixed(1)} % of videos that it has not seen; a new version of the model is written`,
  );
if (job.status === "failed") process.exitCode = 1;
