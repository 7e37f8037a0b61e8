// Which screen is shown, and the line above all of them.
import { duration, h, setText } from "./dom.js";
import { graphScreen } from "./graph.js";
import { liveScreen } from "./live.js";
import { processScreen } from "./process.js";
import { replicasScreen } from "./replicas.js";
import { resourceScreen } from "./resource.js";
import { runsScreen } from "./runs.js";
import { startScreen } from "./start.js";
import { onChange, state, watch } from "./state.js";
import { tableScreen } from "./table.js";
import { timelineScreen } from "./timeline.js";

const SCREENS = [
  { path: "graph", title: "Graph", make: graphScreen },
  { path: "table", title: "Table", make: tableScreen },
  { path: "timeline", title: "Time line", make: timelineScreen },
  { path: "start", title: "Start", make: startScreen },
  { path: "live", title: "Live", make: liveScreen },
  { path: "process", title: "Process", make: processScreen },
  { path: "runs", title: "Runs", make: runsScreen, isThere: () => state.summary?.hasRuns === true },
  { path: "replicas", title: "Replicas", make: replicasScreen, isThere: () => state.replicas !== undefined },
  { path: "resource", title: "Resource", make: resourceScreen, hidden: true },
];
const NARROW = 640;

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const [name, status, facts, notice] = ["name", "status", "facts", "notice"].map((id) => document.getElementById(id));

const links = new Map(
  SCREENS.filter(({ hidden }) => hidden !== true).map((screen) => [
    screen,
    h("a", { href: `#/${screen.path}`, hidden: screen.isThere !== undefined }, screen.title),
  ]),
);
nav.append(...links.values());

let screen;

/** A narrow screen begins with the table. */
function route() {
  const [, path = "", ...rest] = location.hash.split("/");
  const wanted = SCREENS.find((one) => one.path === path);
  const found = wanted ?? SCREENS.find((one) => one.path === (innerWidth < NARROW ? "table" : "graph"));
  screen?.leave?.();
  screen = found.make(decoded(rest.join("/")));
  main.replaceChildren(screen.element);
  for (const [one, link] of links) {
    if (one === found) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${found.title} – ${state.summary?.container ?? "Dashboard"}`;
  screen.update();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function update() {
  const { summary, connection } = state;
  for (const [{ isThere }, link] of links) if (isThere !== undefined) link.hidden = !isThere();
  const isGone = connection === "lost" || connection === "ended";
  notice.hidden = !isGone;
  if (isGone) {
    const what =
      connection === "ended" ? "The process has ended." : "The connection is lost: the process may have ended.";
    setText(notice, `${what} What is shown is the last that was seen.`);
  }
  if (summary !== undefined) {
    const { container, phase, status: health, uptimeMs, startedInMs, version, reason } = summary;
    setText(name, container ?? "Dashboard");
    setText(status, phase === "ready" ? health : `${health}, ${phase}`);
    status.className = `badge ${isGone && phase !== "failed" ? "unknown" : phase === "failed" ? "unhealthy" : health}`;
    const parts = [
      version,
      phase === "ready" ? `up for ${duration(uptimeMs)}` : undefined,
      phase === "ready" && startedInMs !== undefined ? `started in ${duration(startedInMs)}` : undefined,
      phase === "failed" ? reason : undefined,
    ];
    setText(facts, parts.filter((part) => part !== undefined).join(" · "));
  }
  screen.update();
}

addEventListener("hashchange", route);
onChange(update);
route();
watch();
