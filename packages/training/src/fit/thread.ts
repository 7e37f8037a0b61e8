import { serveWorker } from "@steward/core/worker";
import { fitMethods, loadNetwork } from "./methods.ts";

interface Given {
  readonly module: string;
  readonly resource: string;
}

serveWorker(async ({ module, resource }: Given) => fitMethods(await loadNetwork(module, resource)));
