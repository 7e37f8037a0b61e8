/** An end of the run that the user can understand from one line. */
export class Problem extends Error {
  name = "Problem";

  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

export function explain(message, exitCode) {
  throw new Problem(message, exitCode);
}

/** `; did you mean "x"?` for the closest known name, else the list of known names. */
export function nearest(name, known) {
  const [best] = known.map((k) => [distance(name, k), k]).sort(([a], [b]) => a - b);
  if (best && best[0] <= Math.max(2, name.length / 3)) return `; did you mean "${best[1]}"?`;
  return `; known are ${known.join(", ")}`;
}

function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + same));
    }
    row = next;
  }
  return row[b.length];
}
