import { tmpdir } from "node:os";
import { container, runMain } from "@steward/container";
import { environment } from "../settings.ts";
import { rendererServer } from "./resources.ts";

/** A renderer in a process of its own, for Clips elsewhere that have its `RENDERER_URL`. */
const app = container([rendererServer], { name: "renderer" });

await runMain(app, {
  // Where both are given the same environment, it is not this process that has its renderer elsewhere; and it keeps nothing.
  inputs: [environment.is({ ...process.env, RENDERER_URL: undefined, DATA_DIR: tmpdir() })],
  onReady: (running) => void process.stdout.write(`The renderer listens at ${running.get(rendererServer)?.address}\n`),
  onStopped: (durationMs) =>
    void process.stdout.write(`The renderer has stopped everything in ${Math.round(durationMs)} ms.\n`),
});
