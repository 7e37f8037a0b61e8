// The forms that add a video.
import { call, send } from "./api.js";
import { the } from "./dom.js";
import { addVideo } from "./videos.js";

const [form, file, title, drop, sent, failed] = ["upload", "file", "title", "drop", "sent", "upload-error"].map(the);

/** Makes the forms work. */
export function prepareUploads() {
  file.addEventListener("change", chosen);
  form.addEventListener("submit", upload);
  the("by-address").addEventListener("submit", add);
  for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (event) => hover(event, true));
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, (event) => hover(event, false));
  drop.addEventListener("drop", ({ dataTransfer }) => {
    if (dataTransfer.files.length === 0) return;
    file.files = dataTransfer.files;
    chosen();
  });
}

function hover(event, isOver) {
  event.preventDefault();
  drop.classList.toggle("over", isOver);
}

function chosen() {
  const [first] = file.files;
  the("chosen").textContent = first === undefined ? "Choose a file, or drop it here" : first.name;
  if (first !== undefined && title.value === "") title.value = first.name.replace(/\.[^.]*$/, "").slice(0, 200);
}

async function upload(event) {
  event.preventDefault();
  const body = new FormData();
  body.append("title", title.value);
  body.append("file", file.files[0]); // last, so that all else is looked at before it is sent
  await during(form, failed, async () => {
    sent.hidden = false;
    addVideo(await send("/api/v1/uploads", body, (percent) => (sent.value = percent)));
    form.reset();
    chosen();
  });
  sent.hidden = true;
}

async function add(event) {
  event.preventDefault();
  const { currentTarget } = event;
  await during(currentTarget, failed, async () => {
    addVideo(await call("POST", "/api/v1/videos", Object.fromEntries(new FormData(currentTarget))));
    currentTarget.reset();
  });
}

/** Works on what a form asks for, which cannot be asked for twice meanwhile. */
export async function during(form, failed, work) {
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  failed.textContent = "";
  try {
    await work();
  } catch (error) {
    failed.textContent = error.message;
  }
  button.disabled = false;
}
