import { createHash } from "node:crypto";
import { ACCOUNT, ACCOUNT_SCRIPT } from "./account.ts";

// Plain JavaScript of browsers. Whatever comes from a server is shown as text.
const SCRIPT = `
const [button, bar, words] = ["go", "bar", "words"].map((id) => document.getElementById(id));
const json = async (response) => {
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail);
  return body;
};
const say = (text) => (words.textContent = text);

let newest = "";
function show({ status, progress, stage, attempt, error, updatedAt }) {
  if (updatedAt < newest) return; // an answer may be overtaken by what is pushed
  newest = updatedAt;
  bar.value = progress;
  say([status, progress + " %", stage?.toLowerCase(), attempt > 1 && "attempt " + attempt, error].filter(Boolean).join(" \\u00b7 "));
  if (status !== "done" && status !== "failed") return;
  button.disabled = false;
  socket.close();
}

let socket;
function watch(path, id, method) {
  socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/ws");
  socket.onopen = () => socket.send(JSON.stringify({ id: 1, join: "video:" + id, after: {} }));
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.id === 1) fetch(path, { method }).then(json).then(show).catch((error) => say(error.message));
    if (message.data) show(message.data);
  };
  // A client that has lost the connection asks how it stands, perhaps at another instance.
  socket.onclose = () => button.disabled && setTimeout(() => watch(path, id, "GET"), 500 + Math.random() * 1000);
}

button.onclick = async () => {
  button.disabled = true;
  try {
    const body = JSON.stringify({ title: "Sunrise", sourceUrl: "https://example.com/sunrise.mp4", durationMs: 50000 });
    const headers = { "content-type": "application/json" };
    const { id } = await fetch("/api/v1/videos", { method: "POST", headers, body }).then(json);
    watch("/api/v1/videos/" + id + "/process", id, "POST");
  } catch (error) {
    button.disabled = false;
    say(error.message);
  }
};
`;

/** A button that has a video processed and shows how it goes, and a form to sign in. */
export const DEMO = `<p><button id="go">Process a video</button> <progress id="bar" max="100" value="0"></progress> <span id="words"></span></p>
<h2>Sign in</h2>
${ACCOUNT}
<script>${SCRIPT}</script><script>${ACCOUNT_SCRIPT}</script>`;

const HASHES = [SCRIPT, ACCOUNT_SCRIPT].map((text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`);

/** Names the scripts to browsers, which run no other. */
export const DEMO_POLICY = `script-src ${HASHES.join(" ")}; connect-src 'self'; form-action 'none'`;
