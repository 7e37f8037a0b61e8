// A layered layout: who needs stands left of what it needs. It depends on names and needs alone, so nothing moves
// when something only changes its health. Edges over several columns go through places of their own, so that none
// runs behind a box.

const BOX = { width: 184, height: 54 };
const COLUMN = 76; // between two columns
const ROW = 18; // between two boxes
const LANE = 12; // between an edge that passes and its neighbours
const SWEEPS = 8;

/**
 * Places boxes and routes edges.
 * @param {readonly { name: string, needs: readonly { name: string }[] }[]} nodes
 * @returns {{ width: number, height: number, boxes: Map<string, { x: number, y: number, width: number, height: number, column: number }>, edges: { from: string, to: string, points: [number, number][] }[] }}
 */
export function layout(nodes) {
  const sorted = [...nodes].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const byName = new Map(sorted.map((node) => [node.name, node]));
  const edges = edgesOf(sorted, byName);
  const linked = new Set(edges.flatMap(({ from, to }) => [from, to]));
  const inGraph = sorted.filter(({ name }) => linked.has(name));
  const ranks = ranksOf(inGraph, edges);
  const most = Math.max(0, ...ranks.values());
  const layers = Array.from({ length: most + 1 }, () => []);
  const places = new Map();
  for (const { name } of inGraph) {
    const column = most - (ranks.get(name) ?? 0);
    const place = { id: name, column, height: BOX.height, before: [], after: [], y: 0 };
    places.set(name, place);
    layers[column].push(place);
  }
  const routes = edges.map((edge) => routeOf(edge, places, layers));
  order(layers);
  settle(layers);
  return placed(
    layers,
    routes,
    sorted.filter(({ name }) => !linked.has(name)),
  );
}

/** Each pair once, without what leads to itself or nowhere. */
function edgesOf(nodes, byName) {
  const found = new Map();
  for (const { name: from, needs } of nodes)
    for (const { name: to } of needs)
      if (to !== from && byName.has(to)) found.set(JSON.stringify([from, to]), { from, to });
  return [...found.values()];
}

/** The longest path to what needs nothing. A circle, which graphs do not have, ends where it began. */
function ranksOf(nodes, edges) {
  const below = new Map(nodes.map(({ name }) => [name, []]));
  for (const { from, to } of edges) below.get(from).push(to);
  const ranks = new Map();
  const open = new Set();
  const rankOf = (name) => {
    const known = ranks.get(name);
    if (known !== undefined) return known;
    if (open.has(name)) return 0;
    open.add(name);
    const rank = Math.max(-1, ...below.get(name).map(rankOf)) + 1;
    open.delete(name);
    ranks.set(name, rank);
    return rank;
  };
  for (const { name } of nodes) rankOf(name);
  return ranks;
}

/** The places of an edge from its left box to its right one, with a new one in each column that it passes. */
function routeOf({ from, to }, places, layers) {
  const [first, last] = [places.get(from), places.get(to)];
  const way = [first];
  for (let column = first.column + 1; column < last.column; column += 1) {
    const lane = { id: undefined, column, height: 0, before: [], after: [], y: 0 };
    layers[column].push(lane);
    way.push(lane);
  }
  way.push(last);
  for (let i = 1; i < way.length; i += 1) {
    way[i - 1].after.push(way[i]);
    way[i].before.push(way[i - 1]);
  }
  return { from, to, way };
}

/** Sorts each column by the middle of its neighbours, forth and back, and keeps what crosses least. */
function order(layers) {
  number(layers);
  let best = layers.map((layer) => [...layer]);
  let fewest = crossings(layers);
  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep += 1) {
    const side = sweep % 2 === 0 ? "before" : "after";
    const walk = sweep % 2 === 0 ? layers : [...layers].reverse();
    for (const layer of walk) {
      const wanted = new Map(layer.map((place) => [place, middle(place[side], (other) => other.index) ?? place.index]));
      layer.sort((a, b) => wanted.get(a) - wanted.get(b) || a.index - b.index);
      layer.forEach((place, index) => (place.index = index));
    }
    const found = crossings(layers);
    if (found >= fewest) continue;
    fewest = found;
    best = layers.map((layer) => [...layer]);
  }
  best.forEach((layer, i) => (layers[i] = layer));
  number(layers);
}

function number(layers) {
  for (const layer of layers) layer.forEach((place, index) => (place.index = index));
}

function middle(others, of) {
  if (others.length === 0) return undefined;
  return others.reduce((sum, other) => sum + of(other), 0) / others.length;
}

/** How many pairs of edges between neighbouring columns cross. */
function crossings(layers) {
  let sum = 0;
  for (const layer of layers) {
    const ends = layer.flatMap((place) => place.after.map(({ index }) => index).sort((a, b) => a - b));
    sum += inversions(ends);
  }
  return sum;
}

/** Pairs in the wrong order, by a tree of counts. */
function inversions(values) {
  const size = Math.max(0, ...values) + 2;
  const counts = new Uint32Array(size + 1);
  let sum = 0;
  values.forEach((value, seen) => {
    let below = 0;
    for (let i = value + 1; i > 0; i -= i & -i) below += counts[i];
    sum += seen - below;
    for (let i = value + 1; i <= size; i += i & -i) counts[i] += 1;
  });
  return sum;
}

/** Heights: each as near to its neighbours as its own column allows. */
function settle(layers) {
  for (const layer of layers) {
    let y = 0;
    for (const place of layer) {
      place.y = y + place.height / 2;
      y += place.height + (place.height === 0 ? LANE : ROW);
    }
  }
  for (let sweep = 0; sweep < SWEEPS * 2; sweep += 1) {
    const walk = sweep % 2 === 0 ? layers : [...layers].reverse();
    for (const layer of walk) {
      const both = (place) => [...place.before, ...place.after];
      const wanted = layer.map((place) => middle(both(place), ({ y }) => y) ?? place.y);
      spread(layer, wanted);
    }
  }
}

/** The middle between the lowest and the highest way to keep all apart. */
function spread(layer, wanted) {
  const gap = (a, b) => (a.height + b.height) / 2 + (a.height === 0 || b.height === 0 ? LANE : ROW);
  const down = [];
  layer.forEach((place, i) => {
    down.push(i === 0 ? wanted[i] : Math.max(wanted[i], down[i - 1] + gap(layer[i - 1], place)));
  });
  const up = [];
  for (let i = layer.length - 1; i >= 0; i -= 1)
    up[i] = i === layer.length - 1 ? wanted[i] : Math.min(wanted[i], up[i + 1] - gap(layer[i], layer[i + 1]));
  layer.forEach((place, i) => (place.y = (down[i] + up[i]) / 2));
}

function placed(layers, routes, alone) {
  const all = layers.flat();
  const top = all.length === 0 ? 0 : Math.min(...all.map(({ y, height }) => y - height / 2));
  const left = (column) => column * (BOX.width + COLUMN);
  const boxes = new Map();
  for (const { id, column, y } of all)
    if (id !== undefined)
      boxes.set(id, { x: left(column), y: y - top - BOX.height / 2, width: BOX.width, height: BOX.height, column });
  const width = Math.max(BOX.width, layers.length * (BOX.width + COLUMN) - COLUMN);
  let height = Math.max(0, ...[...boxes.values()].map((box) => box.y + box.height));
  const perRow = Math.max(1, Math.floor((width + ROW) / (BOX.width + ROW)));
  const below = height === 0 ? 0 : height + ROW * 3;
  alone.forEach(({ name }, i) => {
    const [x, y] = [(i % perRow) * (BOX.width + ROW), below + Math.floor(i / perRow) * (BOX.height + ROW)];
    boxes.set(name, { x, y, width: BOX.width, height: BOX.height, column: i % perRow });
    height = Math.max(height, y + BOX.height);
  });
  const edges = routes.map(({ from, to, way }) => ({ from, to, points: pointsOf(way, top, left) }));
  return { width, height, boxes, edges };
}

/** From the right side of a box, along each column that is passed, to the left side of another. */
function pointsOf(way, top, left) {
  const last = way.length - 1;
  return way.flatMap(({ column, y }, i) => {
    const at = y - top;
    if (i === 0) return [[left(column) + BOX.width, at]];
    if (i === last) return [[left(column), at]];
    return [
      [left(column), at],
      [left(column) + BOX.width, at],
    ];
  });
}

/** The path of an edge: straight along columns, curved between them. */
export function pathOf(points) {
  return points
    .map(([x, y], i) => {
      if (i === 0) return `M${x} ${y.toFixed(1)}`;
      const [fromX, fromY] = points[i - 1];
      const half = (x - fromX) / 2;
      return Math.abs(fromY - y) < 0.05
        ? `L${x} ${y.toFixed(1)}`
        : `C${fromX + half} ${fromY.toFixed(1)} ${x - half} ${y.toFixed(1)} ${x} ${y.toFixed(1)}`;
    })
    .join("");
}
