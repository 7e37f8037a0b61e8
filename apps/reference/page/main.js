// The page of Clips.
import { prepareAccount } from "./account.js";
import { call } from "./api.js";
import { h, the } from "./dom.js";
import { prepareUploads } from "./upload.js";
import { showVideos } from "./videos.js";

const LINKS = { docs: "API", dashboard: "Dashboard", resources: "Health", metrics: "Metrics" };
const RETRY_MS = 1_000;

/** What runs and how it is, at the foot of the page. */
async function foot() {
  const { status, resources, startedInMs, links } = await call("GET", "/");
  the("dot").className = `dot ${status}`;
  the("health").textContent =
    startedInMs === undefined
      ? "Clips is starting."
      : `${status} · ${resources.filter(({ phase }) => phase !== "disabled").length} resources, started in ${startedInMs} ms`;
  const shown = Object.entries(LINKS).filter(([name]) => links[name] !== undefined);
  the("links").replaceChildren(...shown.map(([name, words]) => h("a", { href: links[name] }, words)));
  return startedInMs !== undefined;
}

async function untilReady() {
  while (!(await foot().catch(() => false))) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
}

prepareUploads();
await untilReady();
await prepareAccount();
await showVideos();
