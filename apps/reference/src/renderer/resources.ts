import { optional, resource, systemClock } from "@steward/core";
import { grpcChannel, grpcServer, type GrpcServerTlsOptions } from "@steward/grpc";
import { certificates } from "../resources/certificates.ts";
import { log } from "../resources/log.ts";
import { settings } from "../settings.ts";
import { rendererService } from "./handlers.ts";
import { definition } from "./service.ts";

const FIRST_ANSWER_MS = 10_000;
const LONGEST_SILENCE_MS = 30_000;

/** What a renderer of ours shows its callers, and asks them for. `undefined`: it talks without TLS. */
export const rendererCertificates = resource("rendererCertificates", {
  needs: { settings },
  start: async ({ settings: { renderer } }): Promise<GrpcServerTlsOptions | undefined> => {
    const { ca, cert, key } = await certificates(renderer.tls);
    return cert === undefined || key === undefined ? undefined : { ca, cert, key };
  },
});

/** The renderer of this process; there is none where another one is used. */
export const rendererServer = grpcServer("rendererServer", {
  needs: { settings, log, certificates: rendererCertificates },
  enabled: ({ settings }) => settings.renderer.url === undefined,
  options: ({ settings: { renderer }, log, certificates }) => ({
    services: [rendererService({ stepMs: renderer.stepMs, clock: systemClock, log })],
    host: renderer.host,
    port: renderer.port,
    tls: certificates,
    reflection: definition,
    onError: (error, path) => log.error({ err: error, path }, "the renderer failed"),
  }),
});

/** The way to the renderer, in this process or elsewhere. It may be down: jobs wait for it. */
export const renderer = grpcChannel("renderer", {
  needs: { settings, server: optional(rendererServer) },
  criticality: "optional",
  readiness: "ignore",
  options: ({ settings: { renderer }, server }) => {
    const url = renderer.url === undefined ? undefined : new URL(renderer.url);
    const isSecure = url === undefined ? renderer.tls.cert !== undefined : url.protocol === "https:";
    return {
      address: url === undefined ? server?.address : addressOf(url),
      timeoutMs: FIRST_ANSWER_MS,
      idleTimeoutMs: LONGEST_SILENCE_MS,
      // A function, so that files may be replaced while Clips runs.
      tls: isSecure ? () => certificates(renderer.tls) : false,
    };
  },
});

/** gRPC has no port that is usual, so the one of the scheme has to be written out. */
function addressOf({ hostname, port, protocol }: URL): string {
  return `${hostname}:${port === "" ? (protocol === "https:" ? 443 : 80) : port}`;
}
