export { InferenceSession, listSupportedBackends, Tensor } from "onnxruntime-node";
