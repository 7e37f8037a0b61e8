export { alerts, type AlertStates, type Alerts } from "./alerts/alerts.ts";
export { metric, unhealthy, type AlertCondition, type MetricCondition } from "./alerts/conditions.ts";
export type { AlertMessage } from "./alerts/message.ts";
export type { AlertOptions, AlertRule, SendAlert } from "./alerts/options.ts";
export type { AlertHealth, AlertSource } from "./alerts/source.ts";
export { webhook, type WebhookHttp, type WebhookOptions } from "./alerts/webhook.ts";
