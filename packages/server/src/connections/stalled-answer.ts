import type { ServerResponse } from "node:http";

/**
 * Breaks off an answer of which its client takes nothing any more: what the request holds would be held for as long as that
 * client likes. An answer whose source has nothing to give is left alone.
 */
export function cutWhenStalled(response: ServerResponse, timeoutMs: number): void {
  response.setTimeout(timeoutMs, () => {
    if (response.writableLength > 0) response.destroy();
  });
}
