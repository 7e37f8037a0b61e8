import { httpSession } from "@steward/http";
import { settings, type Settings } from "../settings.ts";
import { MOST_MEDIA_BYTES } from "../videos/table.ts";
import { certificates } from "./certificates.ts";

/** To the origins on the allow list alone. */
const allowed = ({ allowedOrigins, tls }: Settings) => ({
  allowedOrigins,
  userAgent: "clips/0.1",
  tls: () => certificates(tls),
});

/** The way to other services. */
export const http = httpSession("http", {
  needs: { settings },
  options: ({ settings }) => ({ ...allowed(settings), timeoutMs: 10_000, maxResponseBytes: 1024 * 1024 }),
});

/** The way to videos of others. */
export const downloads = httpSession("downloads", {
  needs: { settings },
  options: ({ settings }) => ({ ...allowed(settings), timeoutMs: 30_000, maxResponseBytes: MOST_MEDIA_BYTES }),
});
