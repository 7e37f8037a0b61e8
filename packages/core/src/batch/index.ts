export {
  batch,
  type Batch,
  type BatchCall,
  type BatchCallOptions,
  type BatchOptions,
  type BatchStats,
} from "./batch.ts";
