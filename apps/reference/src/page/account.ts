// Plain JavaScript of browsers, which goes on from that of the demo. Whatever comes from a server is shown as text.
/** Signs in and out, and shows where else somebody is signed in. */
export const ACCOUNT_SCRIPT = `{
const [form, out, who, list] = ["in", "out", "who", "sessions"].map((id) => document.getElementById(id));
async function call(method, path, body) {
  const headers = body ? { "content-type": "application/json" } : {};
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  return answer.status === 204 ? undefined : json(answer);
}
const after = (work) => work.then(account).catch((error) => (who.textContent = error.message));

function row({ id, userAgent, usedAtMs, isThis }) {
  const item = document.createElement("li");
  item.append(new Date(usedAtMs).toLocaleString() + " \\u00b7 " + userAgent + " ");
  const end = document.createElement("button");
  end.textContent = isThis ? "This browser: sign out" : "Sign out";
  end.onclick = () => after(isThis ? call("POST", "/sign-out") : call("DELETE", "/users/me/sessions/" + id));
  item.append(end);
  return item;
}

async function account() {
  const me = await call("GET", "/users/me").catch(() => undefined);
  form.hidden = me !== undefined;
  out.hidden = me === undefined;
  who.textContent = me ? me.login + ": " + me.roles.join(", ") : "";
  const { items } = me ? await call("GET", "/users/me/sessions") : { items: [] };
  list.replaceChildren(...items.map(row));
}

form.onsubmit = (event) => {
  event.preventDefault();
  after(call("POST", "/sign-in", Object.fromEntries(new FormData(form))));
};
out.onclick = () => after(call("POST", "/sign-out?everywhere=true"));
account();
}`;

/** A form to sign in, and the sessions of who has. */
export const ACCOUNT = `<form id="in"><input name="login" placeholder="name" autocomplete="username" required>
<input name="password" type="password" placeholder="password" autocomplete="current-password" required> <button>Sign in</button></form>
<p id="who"></p><ul id="sessions"></ul><button id="out" hidden>Sign out everywhere</button>`;
