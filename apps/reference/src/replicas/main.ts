import { parseArgs } from "node:util";
import { container, runMain, type RunningContainer } from "@steward/container";
import { environment } from "../settings.ts";
import { urlOf } from "./messages.ts";
import { balancer, replicaCount, replicas, say } from "./resources.ts";

const MOST = 9;

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** What somebody reads who has just started several Clips. */
function banner(running: RunningContainer): string {
  const { url } = running.get(balancer);
  const all = running.get(replicas);
  const dashboard = `http://127.0.0.1:${all.places[0]?.managementPort}/steward/`;
  // What operators have chosen themselves is not shown.
  const token = process.env["CLIPS_ADMIN_TOKEN"] === undefined ? all.token : "<CLIPS_ADMIN_TOKEN>";
  return [
    `${all.places.length} replicas of Clips are ready behind ${url}/ in ${Math.round(running.startedInMs)} ms:`,
    ...all.places.map((place) => {
      const { name, host, port, managementPort } = place;
      return `  ${name}  process ${all.pidOf(place)}, ${urlOf(host, port)}/, operators at http://127.0.0.1:${managementPort}/`;
    }),
    "",
    "Three things to try:",
    `  ${dashboard}?t=${token}`,
    "      the dashboard; its screen Replicas shows them side by side",
    `  ${url}/`,
    "      have a video processed there, and see it go on when its replica ends:",
    `  kill -9 ${all.places.map((place) => all.pidOf(place)).find((pid) => pid !== undefined)}`,
    "      the others take what it did, and it is back within seconds; with kill -TERM no request is lost",
    "",
    "Ctrl-C stops everything.",
    "",
  ].join("\n");
}

const { values } = parseArgs({ options: { replicas: { type: "string" } }, allowPositionals: true });
const count = Number(values.replicas);
if (Number.isInteger(count) && count >= 1 && count <= MOST) {
  const app = container([balancer], { name: "replicas", startTimeoutMs: 90_000 });
  await runMain(app, {
    inputs: [
      environment.is({ ...process.env, LOG_LEVEL: process.env["LOG_LEVEL"] ?? "warn" }),
      replicaCount.is(count),
      say.is(print),
    ],
    onReady: (running) => print(banner(running)),
    onShutdown: ({ reason, delayMs }) =>
      print(`All replicas stop (${reason})${delayMs > 0 ? `, taking requests for another ${delayMs} ms` : ""} ...`),
    onStopped: (durationMs) =>
      print(`All replicas have stopped, and what they shared, in ${Math.round(durationMs)} ms.`),
  });
} else {
  process.stderr.write(`--replicas needs a number from 1 to ${MOST}, such as --replicas 3\n`);
  process.exitCode = 2;
}
