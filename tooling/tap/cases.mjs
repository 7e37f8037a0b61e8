/**
 * Watches a parser of tap and the parsers below it, and calls `onCase` with `{ kind, path, result }` for each case. A
 * case is a subtest without subtests of its own, so that a file's groups and single assertions are not counted. What
 * fails outside of every subtest goes to `onFailure`.
 */
export function watchCases(parser, path, onCase, onFailure = () => {}) {
  const state = { groups: 0, failedBelow: false, failure: undefined };
  let below;
  parser.on("child", (child) => {
    state.groups += 1;
    below = watchCases(child, [...path, child.name], onCase);
  });
  parser.on("assert", (result) => {
    const kind = kindOf(result);
    if (!result.closingTestPoint || below === undefined) {
      if (kind === "failed" && state.failure === undefined) onFailure((state.failure = result));
      // A subtest that is skipped has no parser of its own.
      if (kind === "skipped") onCase({ kind, path: [...path, result.name], result });
      return;
    }
    // A group that failed by itself (a timeout, a missing plan) has no failed case below it.
    if (below.groups === 0 || (kind === "failed" && !below.failedBelow)) {
      onCase({ kind, path: [...path, result.name], result: below.failure ?? result });
    }
    if (kind === "failed") state.failedBelow = true;
    below = undefined;
  });
  return state;
}

function kindOf({ ok, skip, todo }) {
  if (skip || todo) return "skipped";
  return ok ? "passed" : "failed";
}
