export { metricProducer } from "./opentelemetry/producer.ts";
export { traceResources, type TraceOptions } from "./opentelemetry/spans.ts";
export { traceRequests, type TraceRequestsOptions } from "./opentelemetry/requests.ts";
export { parseTraceparent, traceparentOf } from "./opentelemetry/traceparent.ts";
