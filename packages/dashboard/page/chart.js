// Small drawings of numbers.
import { s } from "./dom.js";

/** A line of the last values, from 0 up to the largest; values that are missing leave a gap. */
export function line(values, label, { width = 240, height = 44, points = Math.max(30, values.length) } = {}) {
  const known = values.filter((value) => typeof value === "number");
  const top = Math.max(...known, 0) || 1;
  const step = width / (points - 1);
  const first = points - values.length;
  let path = "";
  let isDrawing = false;
  values.forEach((value, i) => {
    if (typeof value !== "number") return void (isDrawing = false);
    const x = ((first + i) * step).toFixed(1);
    const y = (height - 2 - (value / top) * (height - 4)).toFixed(1);
    path += `${isDrawing ? "L" : "M"}${x} ${y}`;
    isDrawing = true;
  });
  return s(
    "svg",
    { class: "line", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, preserveAspectRatio: "none" },
    s("path", { d: `M0 ${height - 1}H${width}`, class: "axis" }),
    s("path", { d: path, class: "values" }),
  );
}

/** Bars of how often each duration came; `buckets` are pairs of an upper bound in ms and a count. */
export function bars(buckets, label, { width = 480, height = 90 } = {}) {
  const most = Math.max(1, ...buckets.map(([, count]) => count));
  const step = width / Math.max(buckets.length, 12);
  return s(
    "svg",
    { class: "bars", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    buckets.map(([bound, count], i) => {
      const size = Math.max(2, (count / most) * (height - 4));
      return s(
        "rect",
        { x: i * step + 1, y: height - size, width: step - 2, height: size, rx: 2 },
        s("title", {}, `up to ${bound} ms: ${count}`),
      );
    }),
  );
}

/** Where values are drawn from and to; equal ones in the middle. */
function spanOf(values) {
  const known = values.filter((value) => Number.isFinite(value));
  const [low, high] = [Math.min(...known), Math.max(...known)];
  if (known.length === 0) return [0, 1];
  return low === high ? [low - 1, high + 1] : [low, high];
}

/**
 * Several lines over the same steps. Each has `points`, pairs of a step and a value, and marks: `resumes` and
 * `checkpoints` are steps. What is not finite is a gap with a mark at its step.
 */
export function curves(lines, label, { width = 480, height = 150 } = {}) {
  const points = lines.flatMap((one) => one.points);
  const [first, last] = spanOf(points.map(([step]) => step));
  const [low, high] = spanOf(points.map(([, value]) => value));
  const x = (step) => (((step - first) / (last - first)) * width).toFixed(1);
  const y = (value) => (height - 3 - ((value - low) / (high - low)) * (height - 6)).toFixed(1);
  const isInside = (step) => step >= first && step <= last;
  const upright = (steps, from) =>
    steps
      .filter(isInside)
      .map((step) => `M${x(step)} ${from}V${height}`)
      .join("");
  const path = (one) => {
    let isDrawing = false;
    return one
      .map(([step, value]) => {
        if (!Number.isFinite(value)) return ((isDrawing = false), "");
        const command = `${isDrawing ? "L" : "M"}${x(step)} ${y(value)}${isDrawing ? "" : "h0.1"}`;
        isDrawing = true;
        return command;
      })
      .join("");
  };
  const broken = (one) => one.filter(([, value]) => !Number.isFinite(value)).map(([step]) => step);
  return s(
    "svg",
    {
      class: "curves",
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": label,
      preserveAspectRatio: "none",
    },
    s("path", { d: `M0 ${height - 1}H${width}`, class: "axis" }),
    lines.map(({ points: one, look, resumes, checkpoints }) =>
      s(
        "g",
        { class: look },
        s("path", { d: upright(checkpoints, height - 7), class: "checkpoint" }),
        s("path", { d: upright(resumes, 0), class: "resume" }),
        s("path", { d: upright(broken(one), 0), class: "broken" }),
        s("path", { d: path(one), class: "values" }),
      ),
    ),
  );
}
