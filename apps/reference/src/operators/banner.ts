import type { RunningContainer } from "@steward/container";
import { overviewOf, type Row } from "./overview.ts";
import { server } from "../server/server.ts";
import { postgresServer, redisServer } from "../resources/servers.ts";
import { settings } from "../settings.ts";

/** What somebody reads who has just started Clips: what runs, how long its start took, and where to look. */
export function banner(running: RunningContainer): string {
  const { url } = running.get(server);
  const { resources } = overviewOf(running, true);
  const width = Math.max(...resources.map(({ name }) => name.length));
  const lines = resources.map((row) =>
    `  ${row.name.padEnd(width)}  ${time(row).padStart(8)}  ${remark(running, row)}`.trimEnd(),
  );
  return [
    `Clips is ready in ${Math.round(running.startedInMs)} ms (process up for ${Math.round(process.uptime() * 1_000)} ms). Started:`,
    ...lines,
    "",
    `  ${url}/docs              the API, to try it out`,
    `  ${url}/health/resources  health, one by one`,
    `  ${url}/readyz            readiness, for load balancers`,
    "",
    "Three things to try:",
    `  ${url}/ in a browser: sign up, upload, and watch the processing`,
    `  curl -s ${url}/api/v1/videos -H 'content-type: application/json' \\`,
    `    -d '{"title":"Sunrise","sourceUrl":"https://example.com/sunrise.mp4","durationMs":90000}'`,
    "  npm start -- --replicas 3 after a Ctrl-C: three of them behind a balancer, of which you may kill any",
    "",
    "Ctrl-C stops everything.",
    "",
  ].join("\n");
}

function time({ phase, startedInMs }: Row): string {
  return phase === "disabled" ? "disabled" : startedInMs === undefined ? "" : `${Math.round(startedInMs)} ms`;
}

function remark(running: RunningContainer, { name, phase, status, reason }: Row): string {
  const { dataDir, redisUrl } = running.get(settings);
  if (name === redisServer.name && phase === "disabled")
    return redisUrl === undefined
      ? "neither redis-server nor valkey-server is on PATH; Clips works without"
      : "REDIS_URL is used";
  if (name === postgresServer.name && phase === "disabled") return "DATABASE_URL is used";
  if (name === postgresServer.name)
    return running.get(postgresServer)?.shared === true
      ? `shared with another Clips, which started it; rows in ${dataDir}`
      : `rows are kept in ${dataDir}`;
  return status === "healthy" ? "" : `${status}: ${reason ?? phase}`;
}
