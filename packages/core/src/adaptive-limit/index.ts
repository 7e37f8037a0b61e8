export {
  adaptiveLimit,
  type AdaptiveLimit,
  type AdaptiveLimitOptions,
  type AdaptiveLimitStats,
} from "./adaptive-limit.ts";
