import { spawn } from "node:child_process";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { explain } from "./problem.mjs";
import { root } from "./workspace.mjs";
import { browserBinary, pgbouncerBinary, promtoolBinary, redisBinary } from "./programs.mjs";

/** The environment of everything we start: our own tools first, no telemetry, and what results depend on. */
export function environment() {
  return {
    ...process.env,
    PATH: `${join(root, "node_modules/.bin")}${delimiter}${process.env.PATH ?? ""}`,
    // Without a network npx tries for over a minute by default before it says so.
    npm_config_fetch_retry_mintimeout: "1000",
    npm_config_fetch_retry_maxtimeout: "4000",
    TURBO_TELEMETRY_DISABLED: "1",
    TURBO_NO_UPDATE_NOTIFIER: "1",
    STEWARD_NODE: process.version,
    STEWARD_REDIS: redisBinary() ?? "none",
    STEWARD_BROWSER: browserBinary() ?? "none",
    STEWARD_PROMTOOL: promtoolBinary() ?? "none",
    STEWARD_PGBOUNCER: pgbouncerBinary() ?? "none",
  };
}

/**
 * Runs a command to its end and passes signals on, so that ending us ends it.
 * `quiet` keeps its output for the caller instead of printing it; `onLine` is called with each line of that.
 */
export async function run(command, args, { quiet = false, onLine, cwd = root } = {}) {
  const stdio = quiet ? ["ignore", "pipe", "pipe"] : ["ignore", "inherit", "inherit"];
  const child = spawn(command, args, { cwd, env: environment(), stdio });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text) => (output += text));
    if (stream !== null && onLine !== undefined) createInterface({ input: stream }).on("line", onLine);
  }
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  let ended;
  const forward = (signal) => {
    ended = signal;
    child.kill(signal);
  };
  for (const signal of signals) process.on(signal, forward);
  const code = await new Promise((resolve) => {
    child.on("error", (error) => {
      output += error.message;
      resolve(127);
    });
    child.on("close", (exit, signal) => resolve(exit ?? 128 + constants.signals[signal]));
  });
  for (const signal of signals) process.off(signal, forward);
  if (ended) explain(`ended by ${ended}`, 128 + constants.signals[ended]);
  return { code, output };
}
