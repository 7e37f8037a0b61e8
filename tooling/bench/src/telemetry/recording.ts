import type { Arm } from "../arms/arm.ts";

/** What every recording carries. */
export const LABELS = { route: "/videos/:id", method: "GET", status: "200" } as const;
/** Values of calls between 0.5 ms and 0.6 s, so that buckets differ. */
const VALUES = Array.from({ length: 64 }, (_, i) => ((i * 37) % 64) / 100 + 0.0005);

/** An arm that records; the loop around it is part of the figure. */
export function recording(name: string, kind: "counter" | "histogram", open: () => (value: number) => void): Arm {
  return {
    name,
    kind,
    open() {
      const record = open();
      return {
        run(count) {
          for (let i = 0; i < count; i++) record(VALUES[i & 63] ?? 0);
        },
      };
    },
  };
}
