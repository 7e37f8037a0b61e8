import type { MetricDescription } from "./description.ts";

/** Metrics of drivers and servers. */
export const DRIVERS: Readonly<Record<string, MetricDescription>> = {
  "db.client.connection.count": {
    kind: "gauge",
    unit: "{connection}",
    labels: ["resource", "state"],
    help: "Connections of a pool by state: idle, used.",
  },
  "db.client.connection.max": {
    kind: "gauge",
    unit: "{connection}",
    labels: ["resource"],
    help: "Connections that a pool may have.",
  },
  "db.client.connection.pending_requests": {
    kind: "gauge",
    unit: "{request}",
    labels: ["resource"],
    help: "Calls that wait for a connection now.",
  },
  "db.client.connection.timeouts": {
    kind: "counter",
    unit: "{timeout}",
    labels: ["resource"],
    help: "Calls that ran into their deadline.",
  },
  "http.client.request.duration": {
    kind: "histogram",
    unit: "s",
    labels: [
      "resource",
      "server.address",
      "server.port",
      "http.request.method",
      "http.response.status_code",
      "error.type",
    ],
    help: "Requests by server, method and outcome, each attempt to its last byte, streams to their headers.",
  },
  "http.client.active_requests": {
    kind: "gauge",
    unit: "{request}",
    labels: ["resource", "server.address", "server.port"],
    help: "Requests of a server that run now.",
  },
  "http.client.open_connections": {
    kind: "gauge",
    unit: "{connection}",
    labels: ["resource", "server.address", "server.port", "http.connection.state"],
    help: "Connections to a server by state: active, idle.",
  },
  "http.server.request.duration": {
    kind: "histogram",
    unit: "s",
    labels: ["http.request.method", "url.scheme", "http.route", "http.response.status_code", "error.type"],
    help: "Requests of a server by method, route and outcome, each until its response was closed.",
  },
  "http.server.active_requests": {
    kind: "gauge",
    unit: "{request}",
    labels: ["http.request.method", "url.scheme"],
    help: "Requests that a server answers now, by method.",
  },
  websocket_sessions: {
    kind: "gauge",
    unit: "{session}",
    labels: ["resource", "state"],
    help: "Client sessions by state: open, other.",
  },
  websocket_pending_bytes: {
    kind: "gauge",
    unit: "By",
    labels: ["resource"],
    help: "What client sessions have not sent yet.",
  },
  websocket_hub_sockets: { kind: "gauge", unit: "{socket}", labels: ["resource"], help: "Sockets that a hub holds." },
  websocket_hub_rooms: { kind: "gauge", unit: "{room}", labels: ["resource"], help: "Rooms of a hub." },
  websocket_hub_refused_total: {
    kind: "counter",
    unit: "{upgrade}",
    labels: ["resource"],
    help: "Upgrades that a hub refused.",
  },
  websocket_hub_messages_total: {
    kind: "counter",
    unit: "{message}",
    labels: ["resource", "outcome"],
    help: "Messages of a hub by outcome: received, sent, dropped, coalesced.",
  },
  grpc_channel_rebuilds_total: {
    kind: "counter",
    unit: "{channel}",
    labels: ["resource"],
    help: "Channels that were built anew.",
  },
  grpc_calls_lost_total: {
    kind: "counter",
    unit: "{request}",
    labels: ["resource"],
    help: "Calls that a broken connection ended.",
  },
  "steward.database.overdue_leases": {
    kind: "gauge",
    unit: "{lease}",
    labels: ["resource"],
    help: "Reservations and transactions that are held for longer than `leakThresholdMs` now.",
  },
  "steward.requests.open": {
    kind: "gauge",
    unit: "{request}",
    labels: [],
    help: "Requests that an app answers now, releases included.",
  },
  "steward.background.pending": {
    kind: "gauge",
    unit: "{task}",
    labels: [],
    help: "Tasks that run behind an answer now.",
  },
  "steward.background.tasks": {
    kind: "counter",
    unit: "{task}",
    labels: ["outcome"],
    help: "Tasks behind answers by outcome: done, failed, lost.",
  },
  "steward.connections.refused": {
    kind: "counter",
    unit: "{connection}",
    labels: [],
    help: "Connections that a server refused, as it had as many as it may.",
  },
};
