import { networkInterfaces } from "node:os";

/**
 * An IPv4 address of this machine that is not loopback, so that tests have an "elsewhere" without leaving it;
 * `undefined` on a machine without a network.
 */
export function machineAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ family, internal }) => family === "IPv4" && !internal)?.address;
}
