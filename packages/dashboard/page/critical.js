// How a start came about: what was waited for, and what a faster resource would have saved.

/**
 * The start of each resource, in ms from the first, with the path that the whole start waited for.
 * @param {readonly { name: string, needs: readonly { name: string }[], at: number, ms: number }[]} starts
 */
export function startOf(starts) {
  const byName = new Map(starts.map((start) => [start.name, start]));
  const end = ({ at, ms }) => at + ms;
  const last = (list) =>
    list.reduce((best, one) => (best === undefined || end(one) > end(best) ? one : best), undefined);
  const needsOf = ({ needs }) => needs.flatMap(({ name }) => byName.get(name) ?? []);
  const path = [];
  for (let one = last(starts); one !== undefined && !path.includes(one); one = last(needsOf(one))) path.push(one);
  const total = Math.max(0, ...starts.map(end));
  return {
    total,
    path: path.map(({ name }) => name).reverse(),
    savings: path
      .map(({ name }) => ({ name, ms: Math.round(total - totalWithout(starts, needsOf, name)) }))
      .filter(({ ms }) => ms > 0)
      .sort((a, b) => b.ms - a.ms),
  };
}

/** How long all would have taken had one resource been ready at once: each starts when its last need has. */
function totalWithout(starts, needsOf, without) {
  const ends = new Map();
  const endOf = (one) => {
    const known = ends.get(one);
    if (known !== undefined) return known;
    ends.set(one, 0); // a circle ends where it began
    const needs = needsOf(one);
    const before = Math.max(0, ...needs.map(({ at, ms }) => at + ms));
    const waited = Math.max(0, one.at - before); // for a place, or for its turn
    const found = Math.max(0, ...needs.map(endOf)) + waited + (one.name === without ? 0 : one.ms);
    ends.set(one, found);
    return found;
  };
  return Math.max(0, ...starts.map(endOf));
}
