// What the page asks of the API.

/** What the server refused, in its own words. */
export class Refused extends Error {}

/** Asks the API with JSON. */
export async function call(method, path, body) {
  const headers = { accept: "application/json", ...(body && { "content-type": "application/json" }) };
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) }).catch(() => {
    throw new Refused("Clips cannot be reached now.");
  });
  return read(answer.ok, answer.status === 204 ? "" : await answer.text());
}

/** Sends a form with a file, and says how much of it is on its way, in percent. */
export function send(path, form, onPercent) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how far an upload is
    request.upload.addEventListener("progress", ({ loaded, total }) => onPercent(Math.round((100 * loaded) / total)));
    request.addEventListener("error", () => reject(new Refused("Clips cannot be reached now.")));
    request.addEventListener("load", () => {
      try {
        resolve(read(request.status < 300, request.responseText));
      } catch (error) {
        reject(error);
      }
    });
    request.open("POST", path);
    request.send(form);
  });
}

function read(isOk, text) {
  const body = text === "" ? undefined : parsed(text);
  if (isOk) return body;
  const [first] = body?.errors ?? [];
  throw new Refused(
    first ? `${first.path.replace("body.", "")}: ${first.message}` : (body?.detail ?? "That did not work."),
  );
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // of a proxy, say
  }
}
