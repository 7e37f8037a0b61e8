/** How well a resource is, as far as evidence goes. */
export type HealthStatus = "unknown" | "healthy" | "degraded" | "unhealthy";
