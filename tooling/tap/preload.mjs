// Loaded before every test file: at its end nothing that it started may be left. A handle that keeps the process alive
// needs no guard, as tap then ends the file by its timeout and lists it. What is `unref`ed is seen only here: timers
// that our code or a test set, and descriptors of sockets and files (where /proc is). A timer that fires once, and
// soon, is on its way out.
import asyncHooks from "node:async_hooks";
import { readdirSync, readlinkSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join, relative } from "node:path";
import timers from "node:timers";
import { isMainThread } from "node:worker_threads";
import "./quick-imports.mjs";
import { openReport } from "./report.mjs";
import { inSources } from "./sources.mjs";

// tap follows every promise from its birth to its collection, to name the case that an uncaught error belongs to. That
// was a third of the CPU of files with many promises. Without it such an error ends the file, which fails with it.
const { createHook } = asyncHooks;
const followed = { enable: () => followed, disable: () => followed };
asyncHooks.createHook = (callbacks) =>
  callbacks.init !== undefined && callbacks.destroy !== undefined ? followed : createHook(callbacks);

const descriptorFolder = "/proc/self/fd";
const pruneAbove = 1_000;
const soonMs = 1_000;
/** One timer for all deadlines of a clock, which fires once more after the last of them was met. V8 does not always name its class. */
const shared = /#wakeAt /;
/** The file that this process runs alone; `undefined` where it runs several. */
const alone =
  process.argv[1] === join(import.meta.dirname, "together.mjs")
    ? undefined
    : relative(process.cwd(), process.argv[1] ?? "");
export const report = openReport();
const before = new Set(descriptors());
const started = new Map();
const keepAlive = timers.setTimeout;
let pruneAt = pruneAbove;

for (const name of ["setTimeout", "setInterval"]) {
  const original = timers[name];
  const noting = (...args) => {
    const timer = original(...args);
    const place = {};
    Error.captureStackTrace(place, noting);
    started.set(timer, place);
    if (started.size > pruneAt) prune();
    return timer;
  };
  // The promise variants of node:util come from symbols of the original.
  Object.defineProperties(noting, Object.getOwnPropertyDescriptors(original));
  timers[name] = noting;
  globalThis[name] = noting;
}
syncBuiltinESMExports();

// What is being closed has a moment for it.
process.once("beforeExit", () => {
  if (leftOpen().length > 0) keepAlive(() => {}, soonMs);
});
process.on("exit", () => {
  const left = leftOpen();
  if (left.length === 0) return;
  console.error(inSources(`LEFT OPEN at the end of ${alone ?? "all files"}:\n  ${left.join("\n  ")}`));
  process.exitCode ||= 1;
});

if (report !== undefined) {
  // Only now, as tap takes its timers and hooks when it is loaded.
  const { default: t } = await import("./dist/index.js");
  report.watch(t.parser, alone);
}

export function leftOpen() {
  return [...leftTimers(), ...descriptors().filter((d) => !before.has(d))];
}

/** The file that left it has been named. */
export function acceptLeftOpen() {
  started.clear();
  for (const descriptor of descriptors()) before.add(descriptor);
}

function prune() {
  for (const timer of started.keys()) if (timer._destroyed) started.delete(timer);
  pruneAt = Math.max(pruneAbove, started.size * 2);
}

function leftTimers() {
  prune();
  const lasting = [...started].filter(([timer]) => timer._repeat !== null || timer._idleTimeout > soonMs);
  return lasting.flatMap(([, { stack }]) => {
    if (shared.test(stack)) return [];
    const frames = stack
      .split("\n")
      .slice(1)
      .filter((frame) => !frame.includes("node:"));
    return frames[0]?.includes("node_modules") ? [] : [`a timer, set ${frames.slice(0, 4).join("\n    ").trim()}`];
  });
}

/** Those of the process: a thread of it cannot know which are its own. */
function descriptors() {
  if (!isMainThread) return [];
  try {
    return readdirSync(descriptorFolder).flatMap((fd) => {
      const target = linkOf(fd);
      return target === undefined || /^(anon_inode|pipe|\/dev\/|\/proc\/)/.test(target)
        ? []
        : [`descriptor ${fd}: ${target}`];
    });
  } catch {
    return [];
  }
}

function linkOf(fd) {
  try {
    return readlinkSync(`${descriptorFolder}/${fd}`);
  } catch {
    return undefined;
  }
}
