import { DEMO } from "./demo.ts";
import type { Overview, Row } from "./overview.ts";

/** Text that is safe between tags and in attributes. */
function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2024; --dim: #6b7280; --line: #e3e6ea; --paper: #fbfbfa; --card: #fff;
  --healthy: #2f8f5b; --degraded: #b7791f; --unhealthy: #c0392b; --unknown: #8a93a0; --code: #f3f4f2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --dim: #98a1ac; --line: #2b3036; --paper: #16191c; --card: #1c2024;
  --healthy: #58c08a; --degraded: #e0a94a; --unhealthy: #ef7a6d; --unknown: #98a1ac; --code: #22272c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, sans-serif; }
main { max-width: 56rem; margin: 0 auto; padding: 3rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; margin: 0; letter-spacing: -.02em; }
h2 { font-size: .8rem; margin: 2.5rem 0 .75rem; text-transform: uppercase; letter-spacing: .08em; color: var(--dim); font-weight: 600; }
p { margin: .4rem 0 0; color: var(--dim); }
.dot { display: inline-block; width: .62em; height: .62em; border-radius: 50%; margin-right: .55em; background: var(--unknown); }
.healthy .dot { background: var(--healthy); } .degraded .dot { background: var(--degraded); } .unhealthy .dot { background: var(--unhealthy); }
.healthy b { color: var(--healthy); } .degraded b { color: var(--degraded); } .unhealthy b { color: var(--unhealthy); }
.frame { background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .55rem .9rem; border-top: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
th { font-size: .75rem; color: var(--dim); font-weight: 600; border-top: 0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td small { color: var(--dim); } td.needs { white-space: normal; color: var(--dim); }
tr.off td { color: var(--dim); }
.reason { color: var(--unhealthy); white-space: normal; }
pre { margin: 0; padding: .9rem 1.1rem; background: var(--code); overflow-x: auto; font: 13px/1.7 ui-monospace, monospace; border-radius: 10px; }
a { color: inherit; text-decoration-color: var(--dim); text-underline-offset: 3px; }
button { font: inherit; padding: .25rem .8rem; } progress { width: 12rem; margin: 0 .6rem; vertical-align: middle; accent-color: var(--healthy); }
nav a { margin-right: 1.1rem; font: 14px ui-monospace, monospace; }
`;

/** The front page. */
export function page(overview: Overview, origin: string): string {
  const { status, startedInMs, uptimeSeconds, resources } = overview;
  const started =
    startedInMs === undefined
      ? "Clips is starting."
      : `Up for ${duration(uptimeSeconds)}; ${resources.filter(({ phase }) => phase !== "disabled").length} resources started in ${startedInMs} ms.`;
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Clips</title><style>${STYLE}</style></head>
<body><main>
<h1>Clips</h1>
<p>A video API on <em>Steward</em>: the real client, looked after.</p>
<p class="${status}"><span class="dot"></span><b>${status}</b> &middot; ${started}</p>
<h2>What runs</h2>
<div class="frame"><table>
<thead><tr><th>resource</th><th>driver</th><th>health</th><th class="number">start</th><th class="number">probe</th><th>needs</th></tr></thead>
<tbody>${resources.map(row).join("\n")}</tbody>
</table></div>
<h2>Try it</h2>
<pre>${escape(examples(origin))}</pre>
<h2>Watch it work</h2>
${DEMO}
<h2>Look closer</h2>
<nav>${Object.values(overview.links)
    .filter((path) => !path.endsWith("="))
    .map((path) => `<a href="${path}">${path}</a>`)
    .join("\n")}</nav>
</main></body></html>
`;
}

function row({ name, driver, status, phase, reason, startedInMs, probeMs, needs }: Row): string {
  const off = phase === "disabled";
  const words = off ? "disabled" : phase === "ready" ? status : `${status}, ${phase}`;
  const why = reason === undefined ? "" : `<br><small class="reason">${escape(reason)}</small>`;
  const cells = [
    `<td>${escape(name)}</td>`,
    `<td><small>${escape(driver ?? "")}</small></td>`,
    `<td><span class="dot"></span>${words}${why}</td>`,
    `<td class="number">${milliseconds(off ? undefined : startedInMs)}</td>`,
    `<td class="number">${milliseconds(probeMs)}</td>`,
    `<td class="needs">${escape(needs.join(", "))}</td>`,
  ];
  return `<tr class="${off ? "off" : status}">${cells.join("")}</tr>`;
}

function milliseconds(ms: number | undefined): string {
  return ms === undefined ? "" : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7_200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3_600)} h`;
}

/** Lines to paste into a shell. */
export function examples(origin: string): string {
  return [
    `curl -s ${origin}/api/v1/videos -H 'content-type: application/json' \\`,
    `  -d '{"title":"Sunrise","sourceUrl":"https://example.com/sunrise.mp4","durationMs":90000}'`,
    `curl -s '${origin}/api/v1/videos?limit=5'`,
    `curl -s -X POST ${origin}/api/v1/videos/ID/process   # and GET; pushed to room video:ID of ${origin.replace(/^http/, "ws")}/ws`,
    `TOKEN=$(curl -s ${origin}/token -d username=demo -d password=... | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')`,
    `curl -s ${origin}/api/v1/crypto/encrypt -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{"backend":"aes","data":"aGVsbG8="}'`,
    `curl -s ${origin}/api/v1/secrets -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{"name":"mail","value":"hush"}'`,
    `curl -s ${origin}/health/resources`,
    `curl -s ${origin}/ -H 'accept: application/json'`,
  ].join("\n");
}
