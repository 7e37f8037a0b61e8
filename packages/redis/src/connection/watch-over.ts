import type { Clock } from "@steward/core";
import { ConnectionWatch } from "@steward/core/driver";
import type { Redis } from "ioredis";

/** When a connection is looked at more closely, in ms. */
interface Patience {
  readonly silenceMs: number;
  /** Of a connection that owes nothing. Default: never. */
  readonly heartbeatMs?: number;
}

/** Watches whether a connection that owes replies delivers anything. */
export function watchOver(
  redis: Redis,
  clock: Clock,
  { silenceMs, heartbeatMs }: Patience,
  onSilence: (silentMs: number, owes: boolean) => void,
): ConnectionWatch {
  const owed = (): unknown => redis.commandQueue.peekFront();
  const received = (): number => redis.stream.bytesRead;
  return new ConnectionWatch({ clock, silenceMs, heartbeatMs, owed, received, onSilence }).start();
}
