const engine = "@tensorflow/tfjs-which-is-not-installed";

/** Needs an engine that is not there. */
export const network: unknown = await import(engine);
