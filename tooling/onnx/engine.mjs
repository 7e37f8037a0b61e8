// The API of onnxruntime-node, found from here. `import.meta.resolve("@steward/onnx")` is an `engine` for models.
export { InferenceSession, listSupportedBackends, Tensor } from "onnxruntime-node";
