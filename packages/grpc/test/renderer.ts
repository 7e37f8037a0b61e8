import { join } from "node:path";
import { currentContext, StewardError } from "@steward/core";
import { GrpcStatusError, implement, loadProto, type GrpcService } from "../src/index.ts";
import type { JobStatus__Output } from "./fixtures/generated/clips/v1/JobStatus.ts";
import type { Job } from "./fixtures/generated/clips/v1/Job.ts";
import type { RendererClient, RendererHandlers } from "./fixtures/generated/clips/v1/Renderer.ts";
import type { ProtoGrpcType } from "./fixtures/generated/renderer.ts";

/** The service that tests use. Compiled tests lie in `.test/test`, the file does not. */
const loaded = loadProto<ProtoGrpcType>("renderer.proto", {
  includeDirs: [join(import.meta.dirname, "../../test/fixtures")],
});
export const { definition } = loaded;
export const Renderer: ProtoGrpcType["clips"]["v1"]["Renderer"] = loaded.types.clips.v1.Renderer;

/** Told of what handlers see. */
export interface Seen {
  aborted: unknown[];
  started: number;
}

/** Waits, or rejects when the caller has gone. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

/** A renderer whose jobs' ids say what it shall do. */
export function renderer(seen: Seen = { aborted: [], started: 0 }): GrpcService {
  return implement<RendererHandlers>(Renderer, {
    Status: async ({ id, waitMs }, { signal, deadline, metadata, peer, peerCertificate }) => {
      seen.started++;
      signal.addEventListener("abort", () => seen.aborted.push(signal.reason));
      if (waitMs > 0) await pause(waitMs, signal);
      switch (id) {
        case "missing":
          throw new GrpcStatusError("NOT_FOUND", "no such job", {
            reason: "JOB_MISSING",
            metadata: { id },
            retryAfterMs: 1_500,
          });
        case "broken":
          throw new Error("a secret of the server");
        case "down":
          throw new StewardError("RESOURCE_UNAVAILABLE", "db: down", { resource: "db" });
        case "context": {
          const context = currentContext();
          const left = Math.round((context?.deadline ?? Number.POSITIVE_INFINITY) - performance.now());
          return {
            id,
            said: JSON.stringify({
              left,
              same: context?.deadline === deadline,
              requestId: context?.requestId,
              trace: context?.traceContext,
            }),
          };
        }
        case "metadata":
          return { id, said: JSON.stringify(metadata.getMap()) };
        case "peer":
          return { id, said: JSON.stringify({ peer, subject: peerCertificate?.subject }) };
        default:
          return { id, said: `hello ${id}` };
      }
    },
    Render: async function* ({ id }, { signal, draining }) {
      for (let percent = 0; percent <= 100; percent += 50) yield { id, percent };
      if (id === "endless") {
        await new Promise((resolve) => {
          signal.addEventListener("abort", resolve);
          draining.addEventListener("abort", resolve);
        });
        yield { id, percent: 101 };
      }
      if (id === "fails") throw new GrpcStatusError("ABORTED", "half way");
    },
    Upload: async (chunks) => {
      let size = 0;
      for await (const { data } of chunks) size += data.length;
      return { size };
    },
    Talk: async function* (jobs) {
      let percent = 0;
      for await (const { id } of jobs) yield { id, percent: percent++ };
    },
  });
}

/** `Status` as a promise. */
export function status(client: RendererClient, job: Job, options: object = {}): Promise<JobStatus__Output> {
  return new Promise((resolve, reject) => {
    client.status(job, options, (error, answer) =>
      error === null && answer !== undefined ? resolve(answer) : reject(error),
    );
  });
}
