import type { HealthStatus, Phase } from "@steward/core";
import { describeError, type Health, type LastProbe } from "@steward/core/container";
import type { LiveNode } from "../lifecycle/live-node.ts";
import { PlainManager } from "../lifecycle/plain-manager.ts";

/** Where it is in its life. */
export function phaseOf(node: LiveNode): Phase | "disabled" {
  return node.disabled ? "disabled" : (node.manager?.phase ?? "ready");
}

/** A resource that has nothing to be asked answers every probe: that says nothing. */
export function lastProbeOf({ manager }: LiveNode): LastProbe | undefined {
  return manager instanceof PlainManager && !manager.probed ? undefined : manager?.lastProbe;
}

/** How something is, and why. */
export interface OwnFinding {
  readonly status: HealthStatus;
  readonly reason: string | undefined;
}

/** What it is by itself: its phase decides, then what it knows itself, then evidence. */
export function ownFinding(node: LiveNode, tracked: Health | undefined, probe: LastProbe | undefined): OwnFinding {
  const phase = phaseOf(node);
  if (phase === "disabled") return { status: "healthy", reason: undefined };
  // One that is tried again stays down until it is up: nothing is known only before the end of the first attempt.
  if (phase === "failed" || node.manager?.failure !== undefined)
    return { status: "unhealthy", reason: failedReason(node) };
  if (phase === "idle" || phase === "starting") return { status: "unknown", reason: `it is ${phase}` };
  if (phase !== "ready" && phase !== "draining") return { status: "unhealthy", reason: `it is ${phase}` };
  const { trouble } = node.manager ?? {};
  const evidence = tracked ?? fromProbe(probe);
  return trouble === undefined || evidence.status === "unhealthy" ? evidence : trouble;
}

function failedReason({ manager }: LiveNode): string {
  return `it did not start: ${describeError(manager?.failure ?? "no reason is known")}`;
}

/** Where nothing is watched, the last probe is all the evidence there is. */
function fromProbe(probe: LastProbe | undefined): OwnFinding {
  return probe?.error === undefined
    ? { status: "healthy", reason: undefined }
    : { status: "unhealthy", reason: describeError(probe.error) };
}
