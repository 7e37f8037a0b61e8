import { csrf, fastifyServer, refusals, type ServerRunning, SECRET_PARAMETERS, steward } from "@steward/fastify";
import { processMetrics, prometheusText } from "@steward/telemetry";
import { fastify, LogController, type FastifyBaseLogger, type FastifyInstance } from "fastify";
import { cryptoRoutes } from "../crypto/routes.ts";
import { dataRoute } from "./data.ts";
import { apiLimit } from "../resources/limits.ts";
import { log } from "../resources/log.ts";
import { modelRoutes } from "../models/routes.ts";
import { frontPage } from "./page.ts";
import { toHttpError } from "./problems.ts";
import { processingRoutes } from "../processing/routes.ts";
import { secretRoutes } from "../secrets/routes.ts";
import { trainingRoutes } from "../training/routes.ts";
import { adminRoutes } from "../users/admin.ts";
import { userRoutes } from "../users/routes.ts";
import { hostsOf, isLocal, settings, type Settings } from "../settings.ts";
import { uploadRoutes } from "../videos/uploads.ts";
import { videoRoutes } from "../videos/routes.ts";

const BODY_BYTES = 64 * 1024;
/** Longest work for one request, in ms. */
const REQUEST_TIMEOUT_MS = 15_000;

/** What the app has to know of its settings. */
type AppSettings = Pick<Settings, "host" | "hosts" | "monitorToken" | "managementPort"> &
  Partial<Pick<Settings, "trustedProxies">>;

/** The app of Fastify, not listening yet. */
export async function makeApp(
  logger: FastifyBaseLogger,
  running: ServerRunning,
  { host, hosts, monitorToken, managementPort, trustedProxies = [] }: AppSettings,
): Promise<FastifyInstance> {
  const app: FastifyInstance = fastify({
    ...refusals(),
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: "requestId" }),
    bodyLimit: BODY_BYTES,
    trustProxy: trustedProxies.length > 0 && [...trustedProxies],
    requestTimeout: 30_000,
  });
  app.removeContentTypeParser("text/plain");
  // Metrics, and why something is not well, may name hosts: for this machine, and for who knows the token.
  const details = isLocal(host);
  const token = monitorToken?.reveal();
  const guard = details || token === undefined ? {} : { token };
  const render = (): AsyncIterable<string> => {
    const up = running();
    return prometheusText([app.steward, processMetrics(), ...(up === undefined ? [] : [up])]);
  };
  await app.register(steward, {
    running,
    dependencies: { limit: apiLimit, csrf: csrf() },
    hosts: hostsOf({ host, hosts }),
    timeoutMs: REQUEST_TIMEOUT_MS,
    errors: { toHttpError },
    strictQuery: true,
    // Neither what secrets are called nor where data comes from is for the log.
    accessLog: { redact: [...SECRET_PARAMETERS, "name", "url"] },
    health: { details, ...guard },
    ...(details || token !== undefined ? { metrics: { render, ...guard } } : {}),
    openapi: {
      title: "Clips",
      version: "1.0.0",
      description: "A video API on Steward: the real client, looked after.",
    },
  });
  await frontPage(app, details, managementPort);
  videoRoutes(app);
  uploadRoutes(app);
  processingRoutes(app);
  dataRoute(app);
  cryptoRoutes(app);
  trainingRoutes(app);
  modelRoutes(app);
  await app.register(secretRoutes);
  await app.register(userRoutes);
  adminRoutes(app);
  return app;
}

/** The HTTP server. It needs nothing that takes time, so it answers probes while the rest starts. */
export const server = fastifyServer("server", {
  needs: { settings, log },
  app: ({ settings, log }, running) => makeApp(log, running, settings),
  listen: ({ settings: { host, port } }) => ({ host, port }),
});
