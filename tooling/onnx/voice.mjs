// Where the engine is, and a model that finds speech (Silero's, as the package ships it). It throws where they are not
// installed, and loads neither.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

createRequire(import.meta.url).resolve("onnxruntime-node");

/** A module with the API of the engine. */
export const engine = new URL("./engine.mjs", import.meta.url).href;

/** The file of the model. */
export const voice = fileURLToPath(import.meta.resolve("@ricky0123/vad-web/dist/silero_vad_v6.onnx"));
