// Signs up, in and out, and shows where else somebody is signed in.
import { call } from "./api.js";
import { announce, h, the } from "./dom.js";
import { during } from "./upload.js";
import { showOwn } from "./videos.js";

const sign = the("sign");

/** Shows who is signed in, and makes the forms work. */
export async function prepareAccount() {
  sign.addEventListener("change", mode);
  sign.addEventListener("submit", enter);
  the("sign-out").addEventListener("click", () => leave("/sign-out"));
  the("everywhere").addEventListener("click", () => leave("/sign-out?everywhere=true"));
  the("sessions-box").addEventListener("toggle", sessions);
  mode();
  const { user } = await call("GET", "/session").catch(() => ({ user: null }));
  show(user);
}

function show(user) {
  the("welcome").hidden = user !== null;
  for (const id of ["me", "adding", "account"]) the(id).hidden = user === null;
  the("name").textContent = user?.login ?? "";
  the("sessions-box").open = false;
  void showOwn(user !== null);
}

function isNew() {
  return new FormData(sign).get("mode") === "up";
}

function mode() {
  const words = isNew() ? "Sign up" : "Sign in";
  the("enter").textContent = words;
  the("rule").hidden = !isNew();
  the("password").autocomplete = isNew() ? "new-password" : "current-password";
  the("password").minLength = isNew() ? 12 : 1;
  the("sign-error").textContent = "";
}

async function enter(event) {
  event.preventDefault();
  const { login, password } = Object.fromEntries(new FormData(sign));
  await during(sign, the("sign-error"), async () => {
    if (isNew()) await call("POST", "/register", { login, password });
    await call("POST", "/sign-in", { login, password });
    const { user } = await call("GET", "/session");
    sign.reset();
    mode();
    show(user);
    the("adding-title").focus();
    announce(`Signed in as ${user.login}`);
  });
}

async function leave(path) {
  try {
    await call("POST", path);
    show(null);
    the("login").focus();
    announce("Signed out");
  } catch (error) {
    announce(error.message);
  }
}

async function sessions() {
  if (!the("sessions-box").open) return;
  const { items } = await call("GET", "/users/me/sessions").catch(() => ({ items: [] }));
  the("sessions").replaceChildren(...items.map(row));
}

function row({ id, userAgent, usedAtMs, isThis }) {
  const used = new Date(usedAtMs).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const end = async () => {
    await call("DELETE", `/users/me/sessions/${id}`).catch(() => {});
    await sessions();
  };
  return h(
    "li",
    {},
    h("span", { class: "grow" }, isThis ? `This browser · ${used}` : `${used} · ${userAgent ?? "unknown"}`),
    !isThis && h("button", { type: "button", class: "quiet", onclick: end }, "Sign out"),
  );
}
