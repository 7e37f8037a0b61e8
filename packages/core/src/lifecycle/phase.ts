/** Where a resource is in its life. Health is another matter: see `HealthStatus`. */
export type Phase = "idle" | "starting" | "ready" | "draining" | "stopping" | "stopped" | "failed";
