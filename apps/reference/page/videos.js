// The list of videos, and how the processing of each goes.
import { call } from "./api.js";
import { announce, duration, h, svg, the } from "./dom.js";
import { listen, onMissed } from "./live.js";

const PAGE = 20;
const MOST_LIVE = 100;
const STAGES = { DECODING: "decoding", ENCODING: "encoding", PACKAGING: "packaging" };
const WORDS = { queued: "waiting", processing: "processing", done: "done", failed: "failed" };

const cards = new Map();
let own = new Set();
let cursor;

/** Shows the newest videos. */
export async function showVideos() {
  onMissed(refresh);
  the("older").addEventListener("click", more);
  await more();
}

async function more() {
  try {
    const after = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const { items, next } = await call("GET", `/api/v1/videos?limit=${PAGE}${after}`);
    for (const video of items) if (!cards.has(video.id)) place(video, "append");
    cursor = next;
    the("older").hidden = next === undefined;
    the("list-error").textContent = "";
    await refresh(items.map(({ id }) => id));
  } catch (error) {
    the("list-error").textContent = error.message;
  }
  the("empty").hidden = cards.size > 0;
}

/** Asks how all of them, or some, stand. */
async function refresh(ids = [...cards.keys()]) {
  for (let at = 0; at < ids.length; at += 100) {
    const query = ids.slice(at, at + 100).map((id) => `video=${id}`);
    const { items } = await call("GET", `/api/v1/processing-jobs?${query.join("&")}`).catch(() => ({ items: [] }));
    for (const job of items) cards.get(job.videoId)?.show(job);
  }
}

/** Shows which videos may be deleted: those that who is signed in has uploaded. */
export async function showOwn(isSignedIn) {
  const { items } = isSignedIn ? await call("GET", "/api/v1/uploads").catch(() => ({ items: [] })) : { items: [] };
  own = new Set(items);
  for (const card of cards.values()) card.showOwn();
}

/** Shows a video that has just been added. */
export function addVideo(video) {
  if (isUpload(video)) own.add(video.id);
  the("empty").hidden = true;
  const card = cards.get(video.id) ?? place(video, "prepend");
  card.focus();
  announce(`${video.title} was added`);
}

function place(video, where) {
  const card = new Card(video);
  cards.set(video.id, card);
  the("list")[where](card.element);
  if (cards.size <= MOST_LIVE) listen(video.id, (job) => card.show(job));
  return card;
}

/** One video of the list. */
class Card {
  #video;
  #job;
  #badge = h("span", { class: "badge" });
  #words = h("p", { class: "dim words" });
  #speech = h("div", { class: "speech", hidden: true });
  #bar;
  #work;
  #button;
  #remove;
  element;

  constructor(video) {
    this.#video = video;
    const label = `Processing of ${video.title}`;
    this.#bar = h("progress", { max: 100, value: 0, "aria-label": label, hidden: true });
    this.#button = h("button", { type: "button", onclick: () => this.#process() });
    this.#call("Process");
    const deletes = { class: "quiet", "aria-label": `Delete: ${video.title}`, onclick: () => this.#delete() };
    this.#remove = h("button", { type: "button", ...deletes }, "Delete");
    this.showOwn();
    const added = new Date(video.createdAt).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    const facts = [added, video.durationMs !== null && duration(video.durationMs)].filter(Boolean).join(" · ");
    this.#work = h("div", { class: "work", hidden: true }, this.#bar, this.#words, this.#speech);
    this.element = h(
      "li",
      { class: "card clip" },
      h(
        "div",
        { class: "grow" },
        h("h3", {}, video.title, " ", this.#badge),
        h("p", { class: "dim" }, facts, source(video)),
      ),
      this.#button,
      this.#remove,
      this.#work,
    );
  }

  focus() {
    this.#button.focus();
  }

  /** Shows whether it may be deleted. */
  showOwn() {
    this.#remove.hidden = !own.has(this.#video.id);
  }

  /** Shows how it stands; an answer may be overtaken by what is pushed. */
  show(job) {
    if (this.#job !== undefined && job.updatedAt < this.#job.updatedAt) return;
    const isNews = this.#job?.status !== job.status;
    this.#job = job;
    const isOpen = job.status === "queued" || job.status === "processing";
    this.#badge.textContent = WORDS[job.status];
    this.#badge.className = `badge ${job.status}`;
    this.#work.hidden = false;
    this.#bar.hidden = !isOpen;
    this.#bar.value = job.progress;
    this.#words.textContent = words(job);
    this.#button.disabled = isOpen;
    this.#button.classList.toggle("quiet", job.status === "done");
    if (isNews) void this.#showSpeech(job);
    this.#call(job.status === "done" || job.status === "failed" ? "Again" : "Process");
    if (isNews && !isOpen) announce(`${this.#video.title}: ${WORDS[job.status]}`);
  }

  /** Where somebody speaks, as a line of time. */
  async #showSpeech(job) {
    const path = `/api/v1/videos/${this.#video.id}/process`;
    const { speech } = job.status === "done" ? await call("GET", path).catch(() => ({})) : {};
    if (this.#job.id !== job.id || this.#job.status !== job.status) return;
    this.#speech.hidden = speech === undefined;
    if (speech !== undefined) this.#speech.replaceChildren(...timeline(speech));
  }

  #call(words) {
    if (this.#button.textContent === words) return;
    this.#button.textContent = words;
    this.#button.setAttribute("aria-label", `${words}: ${this.#video.title}`);
  }

  async #process() {
    this.#button.disabled = true;
    try {
      this.show(await call("POST", `/api/v1/videos/${this.#video.id}/process`));
    } catch (error) {
      this.#button.disabled = false;
      this.#complain(error);
    }
  }

  async #delete() {
    const { id, title } = this.#video;
    if (!confirm(`Delete ${title}? It cannot be brought back.`)) return;
    try {
      await call("DELETE", `/api/v1/videos/${id}`);
    } catch (error) {
      return this.#complain(error);
    }
    cards.delete(id);
    this.element.remove();
    the("empty").hidden = cards.size > 0;
    the("list-title").focus();
    announce(`${title} was deleted`);
  }

  #complain(error) {
    this.#work.hidden = false;
    this.#words.textContent = error.message;
  }
}

function words({ status, stage, progress, attempt, error, createdAt, updatedAt }) {
  if (status === "done") {
    const took = duration(new Date(updatedAt) - new Date(createdAt));
    return attempt > 1 ? `Took ${took}, taken up ${attempt} times.` : `Took ${took}.`;
  }
  const parts = [status !== "failed" && `${progress} %`, STAGES[stage], attempt > 1 && `attempt ${attempt}`, error];
  return parts.filter(Boolean).join(" · ");
}

function timeline({ durationMs, segments }) {
  const spoken = segments.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0);
  const words =
    segments.length === 0
      ? `No speech in ${duration(durationMs)}.`
      : `Speech: ${duration(spoken)} of ${duration(durationMs)}.`;
  const bars = segments.map(({ startMs, endMs }) =>
    svg("rect", {
      x: (1_000 * startMs) / durationMs,
      width: (1_000 * (endMs - startMs)) / durationMs,
      height: 20,
      rx: 3,
    }),
  );
  const from = segments.map(({ startMs, endMs }) => `${duration(startMs)} to ${duration(endMs)}`);
  const label = `${words} ${from.join(", ")}`.trim();
  const line = { viewBox: "0 0 1000 20", preserveAspectRatio: "none", role: "img", "aria-label": label };
  return [svg("svg", line, ...bars), h("p", { class: "dim" }, words)];
}

/** Whether it is here, and not somewhere else. */
function isUpload({ sourceUrl }) {
  return sourceUrl.startsWith("/");
}

/** Where a video comes from. */
function source(video) {
  const { title, sourceUrl } = video;
  if (isUpload(video))
    return [" · ", h("a", { href: sourceUrl, download: title, "aria-label": `download ${title}` }, "download")];
  const host = URL.canParse(sourceUrl) ? new URL(sourceUrl).host : sourceUrl;
  return [" · ", h("a", { href: sourceUrl, rel: "noreferrer noopener nofollow", target: "_blank" }, host)];
}
