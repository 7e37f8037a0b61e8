/** What a metric of Steward is. The README has the same table. */
export interface MetricDescription {
  readonly kind: "counter" | "gauge" | "histogram";
  /** Unit in UCUM. */
  readonly unit: string;
  /** What it says, in one sentence. */
  readonly help: string;
}

/** The metrics that Steward's packages have, by name. Names are those of the OpenTelemetry conventions, where they have one. */
export const METRICS: Readonly<Record<string, MetricDescription>> = {
  dependency_requests_total: {
    kind: "counter",
    unit: "{request}",
    help: "Calls of a resource by outcome: success, failure, overloaded, circuit_open.",
  },
  dependency_retries_total: { kind: "counter", unit: "{retry}", help: "Attempts behind the first." },
  dependency_duration_seconds: {
    kind: "histogram",
    unit: "s",
    help: "Time from a call's place to its first evidence.",
  },
  dependency_in_use: { kind: "gauge", unit: "{request}", help: "Calls that run now." },
  dependency_in_use_peak: { kind: "gauge", unit: "{request}", help: "The most calls that ran at once so far." },
  dependency_utilisation_ratio: { kind: "gauge", unit: "1", help: "Places in use over places there are, 0 to 1." },
  dependency_pending: { kind: "gauge", unit: "{request}", help: "Calls that wait for a place now." },
  dependency_circuit_open: { kind: "gauge", unit: "1", help: "Circuit breakers that let nothing through now." },
  dependency_health: { kind: "gauge", unit: "1", help: "Health: 1 healthy, 0.5 degraded, 0 unhealthy or unknown." },
  resource_uptime_seconds: {
    kind: "gauge",
    unit: "s",
    help: "For how long a resource has been ready; 0 while it is not.",
  },
  resource_start_duration_seconds: { kind: "gauge", unit: "s", help: "How long the last start of a resource took." },
  resource_availability_ratio: {
    kind: "gauge",
    unit: "1",
    help: "Healthy time over all time since the container started, 0 to 1.",
  },
  resource_count: { kind: "gauge", unit: "{resource}", help: "Resources of a container." },
  resource_ready_count: { kind: "gauge", unit: "{resource}", help: "Resources of a container that are ready." },
  resource_scopes_open: { kind: "gauge", unit: "{scope}", help: "Scopes that are open now." },
  "db.client.connection.count": {
    kind: "gauge",
    unit: "{connection}",
    help: "Connections of a pool by state: idle, used.",
  },
  "db.client.connection.max": { kind: "gauge", unit: "{connection}", help: "Connections that a pool may have." },
  "db.client.connection.pending_requests": {
    kind: "gauge",
    unit: "{request}",
    help: "Calls that wait for a connection now.",
  },
  "db.client.connection.timeouts": { kind: "counter", unit: "{timeout}", help: "Calls that ran into their deadline." },
  "http.client.request.duration": {
    kind: "histogram",
    unit: "s",
    help: "Requests by server, method and outcome, each attempt to its last byte, streams to their headers.",
  },
  "http.client.active_requests": { kind: "gauge", unit: "{request}", help: "Requests of a server that run now." },
  "http.client.open_connections": {
    kind: "gauge",
    unit: "{connection}",
    help: "Connections to a server by state: active, idle.",
  },
  "http.server.request.duration": {
    kind: "histogram",
    unit: "s",
    help: "Requests of a server by method, route and outcome, each until its response was closed.",
  },
  "http.server.active_requests": {
    kind: "gauge",
    unit: "{request}",
    help: "Requests that a server answers now, by method.",
  },
  websocket_sessions: { kind: "gauge", unit: "{session}", help: "Client sessions by state: open, other." },
  websocket_pending_bytes: { kind: "gauge", unit: "By", help: "What client sessions have not sent yet." },
  websocket_hub_sockets: { kind: "gauge", unit: "{socket}", help: "Sockets that a hub holds." },
  websocket_hub_rooms: { kind: "gauge", unit: "{room}", help: "Rooms of a hub." },
  websocket_hub_refused_total: { kind: "counter", unit: "{upgrade}", help: "Upgrades that a hub refused." },
  websocket_hub_messages_total: {
    kind: "counter",
    unit: "{message}",
    help: "Messages of a hub by outcome: received, sent, dropped, coalesced.",
  },
  "system.filesystem.usage": {
    kind: "gauge",
    unit: "By",
    help: "Space of a disk by state: free, used; without what only root may use.",
  },
  "steward.filesystem.free_inodes": { kind: "gauge", unit: "{inode}", help: "Inodes of a disk that are free." },
  "process.memory.usage": { kind: "gauge", unit: "By", help: "Resident memory of the process." },
  "steward.memory.limit": {
    kind: "gauge",
    unit: "By",
    help: "Memory that there is for the process: of its container, or of the machine.",
  },
  "steward.heap.usage": { kind: "gauge", unit: "By", help: "Heap of the process that is used." },
  "steward.heap.limit": { kind: "gauge", unit: "By", help: "Heap at which V8 ends the process." },
  "nodejs.eventloop.delay.p50": { kind: "gauge", unit: "s", help: "Delay of the event loop, median." },
  "nodejs.eventloop.delay.p99": { kind: "gauge", unit: "s", help: "Delay of the event loop, 99th percentile." },
  "nodejs.eventloop.delay.max": { kind: "gauge", unit: "s", help: "Delay of the event loop, the longest." },
  "nodejs.eventloop.utilization": { kind: "gauge", unit: "1", help: "Share of time in which the event loop was busy." },
  "steward.auth.refreshes": {
    kind: "counter",
    unit: "{refresh}",
    help: "Uses of refresh tokens by outcome (rotated, replayed, reused, refused, unavailable).",
  },
  "steward.auth.sign_ins": {
    kind: "counter",
    unit: "{sign-in}",
    help: "Sign-ins with passwords by outcome (accepted, refused, limited, unavailable).",
  },
  "steward.auth.verifications": {
    kind: "counter",
    unit: "{verification}",
    help: "Looks at access tokens by outcome (accepted, remembered, refused, unavailable).",
  },
  "steward.rate_limit.decisions": {
    kind: "counter",
    unit: "{decision}",
    help: "Decisions of a rate limiter by policy, outcome (allowed, refused, shadow) and source (redis, local, blocked, none).",
  },
  "steward.rate_limit.fallback": {
    kind: "gauge",
    unit: "1",
    help: "1 while a rate limiter decides without Redis, else 0.",
  },
  "steward.config.generation": { kind: "gauge", unit: "1", help: "Generation of the settings in use, from 1 on." },
  "steward.config.reloads": {
    kind: "counter",
    unit: "{reload}",
    help: "Settings read anew, by outcome: changed, refused.",
  },
  "steward.config.age": { kind: "gauge", unit: "s", help: "For how long the settings in use have been." },
  "steward.cache.lookups": {
    kind: "counter",
    unit: "{lookup}",
    help: "Look-ups by level (local, remote) and result: fresh, stale, absent, miss.",
  },
  "steward.cache.loads": {
    kind: "counter",
    unit: "{load}",
    help: "Loads by outcome: value, absent, error, timeout, aborted.",
  },
  "steward.cache.load.duration": { kind: "histogram", unit: "s", help: "How long loads took." },
  "steward.cache.invalidations": {
    kind: "counter",
    unit: "{invalidation}",
    help: "Invalidations by kind: delete, expire, tag, clear, set.",
  },
  "steward.cache.refused_writes": {
    kind: "counter",
    unit: "{write}",
    help: "Loaded values that were not kept, because they were made void meanwhile.",
  },
  "steward.cache.waits": { kind: "counter", unit: "{wait}", help: "Waits for a load of another process." },
  "steward.cache.broken": { kind: "counter", unit: "{value}", help: "Values from Redis that could not be read." },
  "steward.cache.local_drops": {
    kind: "counter",
    unit: "{drop}",
    help: "How often all that a process held was dropped, by reason.",
  },
  "steward.cache.evictions": { kind: "counter", unit: "{entry}", help: "Entries that had to make room for others." },
  "steward.cache.entries": { kind: "gauge", unit: "{entry}", help: "Entries that a process holds." },
  "steward.cache.size": { kind: "gauge", unit: "By", help: "Bytes of the entries that a process holds." },
  "steward.cache.owed": {
    kind: "gauge",
    unit: "{invalidation}",
    help: "Invalidations that other processes have not got yet.",
  },
  grpc_channel_rebuilds_total: { kind: "counter", unit: "{channel}", help: "Channels that were built anew." },
  grpc_calls_lost_total: { kind: "counter", unit: "{request}", help: "Calls that a broken connection ended." },
};
