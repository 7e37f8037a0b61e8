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
