import type { Clock } from "@steward/core";
import { GrpcStatusError, implement, type GrpcService } from "@steward/grpc";
import type { FastifyBaseLogger } from "fastify";
import type { RenderRequest__Output } from "./generated/clips/v1/RenderRequest.ts";
import type { RendererHandlers } from "./generated/clips/v1/Renderer.ts";
import { beginningOf, isCheckpointOf, render, type Checkpoint, type Source } from "./render.ts";
import { Renderer } from "./service.ts";

/** What the service needs. */
export interface RendererPlan {
  /** How long one step takes, in ms. */
  readonly stepMs: number;
  readonly clock: Clock;
  readonly log: Pick<FastifyBaseLogger, "debug">;
}

/** The renderer as a service. A server that drains ends its streams with UNAVAILABLE: the rest is rendered elsewhere. */
export function rendererService({ stepMs, clock, log }: RendererPlan): GrpcService {
  return implement<RendererHandlers>(Renderer, {
    Render: async function* (request, { signal, draining }) {
      const { jobId, sourceUrl: url, durationMs } = request;
      const source = { url, durationMs };
      const from = placeIn(source, request);
      log.debug({ jobId, position: from.position }, "rendering");
      const options = { stepMs, clock, signal: AbortSignal.any([signal, draining]) };
      for await (const { stage, percent, checkpoint } of render(source, from, options))
        yield { jobId, stage: `STAGE_${stage}`, percent, checkpoint };
      log.debug({ jobId }, "rendered");
    },
  });
}

function placeIn(source: Source, { resume }: RenderRequest__Output): Checkpoint {
  if (resume === null || resume === undefined) return beginningOf(source);
  if (isCheckpointOf(source, resume)) return resume;
  throw new GrpcStatusError("INVALID_ARGUMENT", "the checkpoint is none of this video", {
    reason: "CHECKPOINT_UNKNOWN",
    domain: "clips",
  });
}
