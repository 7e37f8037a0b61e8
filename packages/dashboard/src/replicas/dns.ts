import { lookup } from "node:dns/promises";

/**
 * Finds peers by the addresses of one name, such as that of a headless service in Kubernetes.
 * @param service Name and port: `clips-headless:9464`.
 * @param path Where dashboards are mounted. Default `/steward/`.
 */
export function dnsPeers(service: string, path = "/steward/"): () => Promise<string[]> {
  const [, name = service, port = ""] = /^(.*?)(:\d+)?$/.exec(service) ?? [];
  return async () => {
    const found = await lookup(name, { all: true });
    return found.map(({ address, family }) => `http://${family === 6 ? `[${address}]` : address}${port}${path}`);
  };
}
