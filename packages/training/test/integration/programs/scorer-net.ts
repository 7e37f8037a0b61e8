import { denseNetwork } from "../../../src/networks/tfjs.ts";

/** A small network on tfjs. */
export const network = denseNetwork({
  inputs: 3,
  layers: [{ units: 6, activation: "tanh" }, { units: 1 }],
  loss: "meanSquaredError",
});
