import { systemClock, type Clock } from "@steward/core";

const offsets = new WeakMap<Clock, number>();

/**
 * Wall time in ms since 1970. Ages of keys are compared between processes, so they need it; a clock that is not the
 * system's is anchored to it once, and everyone who shares that clock shares the anchor.
 */
export function wallTime(clock: Clock): number {
  if (clock === systemClock) return Date.now();
  let offset = offsets.get(clock);
  if (offset === undefined) {
    offset = Date.now() - Math.floor(clock.now());
    offsets.set(clock, offset);
  }
  return offset + Math.floor(clock.now());
}
