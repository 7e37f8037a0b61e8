export { diskSpace, DiskSpaceManager, type DiskReading, type DiskSpaceOptions } from "./disk-space.ts";
export { eventLoop, EventLoopManager, type EventLoopOptions, type EventLoopReading } from "./event-loop.ts";
export type { Measured } from "./local-check.ts";
export { memoryUse, MemoryUseManager, type MemoryReading, type MemoryUseOptions } from "./memory-use.ts";
