import { rule, oneOf, required, shape, type Rule, type Shape } from "@steward/core/driver";
import { positive } from "./accumulator.ts";

/** How weights follow their gradients. */
export interface OptimizerOptions {
  /** `sgd`: against the gradient, with `momentum`. `adam`: with running means of it and of its square. */
  readonly type: "sgd" | "adam";
  /** Above 0. Default 0.01 for `sgd`, 0.001 for `adam`. */
  readonly learningRate?: number | undefined;
  /** Share of the last step that goes on, of `sgd`. 0 up to 1, default 0. */
  readonly momentum?: number | undefined;
  /** Decay of the mean of gradients, of `adam`. 0 up to 1, default 0.9. */
  readonly beta1?: number | undefined;
  /** Decay of the mean of squares, of `adam`. 0 up to 1, default 0.999. */
  readonly beta2?: number | undefined;
  /** Keeps `adam` from dividing by nothing. Above 0, default 1e-8. */
  readonly epsilon?: number | undefined;
}

function decay(): Rule {
  return rule("number", (value) =>
    typeof value === "number" && value >= 0 && value < 1 ? undefined : "must be at least 0 and below 1",
  );
}

/** What the options of an optimizer must be. */
export const optimizerShape: Shape<OptimizerOptions> = /* @__PURE__ */ shape<OptimizerOptions>(
  () => ({
    type: required(oneOf("sgd", "adam")),
    learningRate: positive(),
    momentum: decay(),
    beta1: decay(),
    beta2: decay(),
    epsilon: positive(),
  }),
  ({ type, momentum }) =>
    type === "adam" && momentum !== undefined ? { path: "momentum", message: "is for sgd alone" } : undefined,
  ({ type, beta1, beta2, epsilon }) =>
    type === "sgd" && [beta1, beta2, epsilon].some((value) => value !== undefined)
      ? { path: "type", message: "must be adam where beta1, beta2 or epsilon is given" }
      : undefined,
);

/** Changes a stretch of weights by a stretch of gradients; slots are as long as the weights. */
export interface Optimizer {
  /** What it remembers of each weight, by name. */
  readonly slots: readonly string[];
  /** @param step counts from 1. */
  apply(weights: Float32Array, gradients: Float64Array, slots: readonly Float32Array[], step: number): void;
}

/** The optimizer of these options. */
export function optimizerOf(options: OptimizerOptions): Optimizer {
  return options.type === "adam" ? adam(options) : sgd(options);
}

function sgd({ learningRate = 0.01, momentum = 0 }: OptimizerOptions): Optimizer {
  return {
    slots: momentum === 0 ? [] : ["velocity"],
    apply(weights, gradients, [velocity]) {
      for (let i = 0; i < weights.length; i++) {
        let change = gradients[i] ?? 0;
        if (velocity !== undefined) change = velocity[i] = momentum * (velocity[i] ?? 0) + change;
        weights[i] = (weights[i] ?? 0) - learningRate * change;
      }
    },
  };
}

function adam({ learningRate = 0.001, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 }: OptimizerOptions): Optimizer {
  return {
    slots: ["mean", "square"],
    apply(weights, gradients, [mean, square], step) {
      if (mean === undefined || square === undefined) return;
      const rate = (learningRate * Math.sqrt(1 - beta2 ** step)) / (1 - beta1 ** step);
      for (let i = 0; i < weights.length; i++) {
        const gradient = gradients[i] ?? 0;
        const first = beta1 * (mean[i] ?? 0) + (1 - beta1) * gradient;
        const second = beta2 * (square[i] ?? 0) + (1 - beta2) * gradient * gradient;
        mean[i] = first;
        square[i] = second;
        weights[i] = (weights[i] ?? 0) - (rate * first) / (Math.sqrt(second) + epsilon);
      }
    },
  };
}
