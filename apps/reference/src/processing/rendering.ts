import { status, type ServiceError } from "@grpc/grpc-js";
import type { RenderProgress__Output } from "../renderer/generated/clips/v1/RenderProgress.ts";
import type { RendererClient } from "../renderer/generated/clips/v1/Renderer.ts";
import type { Rendered, Stage } from "../renderer/render.ts";
import type { Video } from "../videos/table.ts";
import type { StoredJob } from "./table.ts";

/** Has a video rendered from where its job stands, and gives every step. @throws {ServiceError} of grpc-js. */
export async function* renderRemotely(
  client: RendererClient,
  { id: jobId, position, checkpoint }: StoredJob,
  { sourceUrl, durationMs }: Pick<Video, "sourceUrl" | "durationMs">,
  signal: AbortSignal,
): AsyncGenerator<Rendered, void, void> {
  signal.throwIfAborted();
  const resume = checkpoint === null ? null : { position, state: checkpoint };
  const stream = client.render({ jobId, sourceUrl, durationMs: durationMs ?? 0, resume });
  const cancel = (): void => stream.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    for await (const message of stream) yield renderedIn(message as RenderProgress__Output); // the client's own type
  } finally {
    signal.removeEventListener("abort", cancel);
    // A stream that is left in the middle reports its own cancelling as an error.
    stream.on("error", () => {});
    stream.cancel();
  }
}

const STAGES: Readonly<Record<RenderProgress__Output["stage"], Stage>> = {
  STAGE_UNSPECIFIED: "DECODING",
  STAGE_DECODING: "DECODING",
  STAGE_ENCODING: "ENCODING",
  STAGE_PACKAGING: "PACKAGING",
};

function renderedIn({ stage, percent, checkpoint }: RenderProgress__Output): Rendered {
  if (checkpoint === null) throw new TypeError("the renderer gave no checkpoint");
  return { stage: STAGES[stage], percent, checkpoint };
}

/** Answers that would be the same however often we asked. */
const FINAL: ReadonlySet<number> = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.FAILED_PRECONDITION,
  status.OUT_OF_RANGE,
  status.UNIMPLEMENTED,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
]);

/** What a failed rendering means to its job. `reason` is for everybody: it names no address of ours. */
export interface Failure {
  readonly final: boolean;
  readonly reason: string;
}

/** @returns what to make of an error of {@link renderRemotely}. */
export function failureOf(error: unknown): Failure {
  if (!isServiceError(error)) return { final: false, reason: "processing was interrupted" };
  const { code, details } = error;
  if (FINAL.has(code)) return { final: true, reason: `the renderer refused the video: ${details}` };
  return { final: false, reason: `the renderer did not finish (${status[code]})` };
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && typeof error.code === "number" && "details" in error;
}
