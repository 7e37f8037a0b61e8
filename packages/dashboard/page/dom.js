// Makes elements. Whatever comes from the server becomes a text node or the value of an attribute, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element of HTML with attributes and children; `on...` attributes are listeners, `undefined` ones are left out. */
export function h(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** An element of SVG. */
export function s(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(2)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** Sets text where it differs, so that nothing is laid out anew for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute where it differs. */
export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** A duration in words. */
export function duration(ms) {
  if (ms === undefined || ms === null) return "";
  if (ms < 1) return `${(ms * 1000).toFixed(0)} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} days`;
}

/** How often something happens. */
export function rate(value) {
  if (value === undefined || value === null) return "";
  if (value === 0) return "0/s";
  return `${value >= 10_000 ? `${Math.round(value / 1_000)}k` : value < 10 ? value.toFixed(1) : Math.round(value)}/s`;
}

/** A size in words. */
export function bytes(value) {
  const units = ["B", "KB", "MB", "GB"];
  let power = 0;
  for (let rest = value; rest >= 1_024 && power < 3; rest /= 1_024) power += 1;
  return `${(value / 1_024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

/** The time of day, to the ms. */
export function timeOfDay(at) {
  const date = new Date(at);
  return `${date.toLocaleTimeString("en-GB")}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** Text that fits, with dots where it was cut. */
export function cut(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
