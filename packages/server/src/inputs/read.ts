import { parse } from "cookie";
import type { HttpRequest } from "../life/exchange.ts";
import type { Reader, ReaderPlace } from "../route/source.ts";
import { isFile } from "../forms/uploaded.ts";
import { Invalid, MEDIA_TYPE } from "./issue.ts";
import type { Parameter } from "./described.ts";
import { isPlainString, isStandardSchema } from "./schema.ts";

/** Where the raw value of a parameter stands in a request. */
type Pick = (request: HttpRequest) => unknown;

/** Makes the reader of a parameter. */
export function readerOf(parameter: Parameter, { validators, embedsBodies }: ReaderPlace): Reader {
  const { place, schema, required } = parameter;
  const whole = place === "body" && !embedsBodies;
  const raw = pickerOf(parameter, whole);
  const at = pathOf(parameter, whole);
  const initial = isStandardSchema(schema) ? undefined : schema["default"];
  const missing = new Invalid([{ path: at, code: "missing", message: "Field required", input: null }]);
  const validate = place === "file" || isPlainString(schema) ? undefined : validators.compile(schema, place !== "body");
  const last = !isStandardSchema(schema) && schema.type !== "array" && place !== "body" && place !== "file";
  const asks = isStandardSchema(schema); // a library may have a value for what is missing
  const isTaken = TAKES[place];
  return ({ request }) => {
    if (isTaken !== undefined && request.body !== undefined && !isTaken(request.headers["content-type"]))
      return wrongType(request.headers["content-type"]);
    let value = raw(request);
    if (last && Array.isArray(value)) value = value.at(-1);
    if (value === undefined && required) return missing;
    if (value === undefined) return asks ? orNothing(validate?.(value, at)) : structuredCopy(initial);
    if (parameter.files !== undefined) return filesOf(value, parameter.files) ?? missing;
    if (validate === undefined) return value;
    return validate(value, at);
  };
}

/** Media types of JSON. */
export const JSON_TYPE: RegExp = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;
/** Media types of forms. */
export const FORM_TYPE: RegExp = /^(?:application\/x-www-form-urlencoded|multipart\/form-data)\s*(?:;|$)/i;

/** A page of another origin can post forms and text with the user's cookies, and without a preflight: so a JSON body is JSON alone. */
const TAKES: Partial<Record<Parameter["place"], (type: string | undefined) => boolean>> = {
  body: (type) => type === "application/json" || JSON_TYPE.test(type ?? ""),
  form: (type) => FORM_TYPE.test(type ?? ""),
  file: (type) => FORM_TYPE.test(type ?? ""),
};

function wrongType(type: string | undefined): Invalid {
  const message = `Unsupported media type ${type ?? "(none)"}`;
  return new Invalid([{ path: ["header", "content-type"], code: MEDIA_TYPE, message, input: type ?? null }]);
}

/** What a library makes of nothing: its default, or nothing. */
function orNothing(value: unknown): unknown {
  return value instanceof Invalid ? undefined : value;
}

/** The files of one name, as the route takes them; `undefined` for what is none. */
function filesOf(value: unknown, { target, isList }: NonNullable<Parameter["files"]>): unknown {
  const all: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (!all.every((one) => isFile(one, target))) return undefined;
  return isList ? all : all.at(-1);
}

function structuredCopy(value: unknown): unknown {
  return typeof value === "object" && value !== null ? structuredClone(value) : value;
}

function pathOf({ place, name }: Parameter, whole: boolean): readonly string[] {
  if (whole) return ["body"];
  return [place === "form" || place === "file" ? "body" : place, name];
}

/** The values of a header that was sent several times; Node has one text of them else. */
function headersOf({ raw, headers }: HttpRequest, name: string): unknown {
  const given = headers[name];
  const all = given === undefined ? undefined : raw?.headersDistinct?.[name]; // a test request has none
  return all !== undefined && all.length > 1 ? all : given;
}

function pickerOf({ place, name, schema }: Parameter, whole: boolean): Pick {
  switch (place) {
    case "query":
      return (request) => own(request.query, name);
    case "path":
      return (request) => own(request.params, name);
    case "header":
      return !isStandardSchema(schema) && schema.type === "array"
        ? (request) => headersOf(request, name)
        : (request) => request.headers[name];
    case "cookie":
      return (request) => own(cookiesOf(request), name);
    case "body":
      return whole ? (request) => request.body ?? undefined : (request) => own(request.body, name);
    case "form":
    case "file":
      return (request) => own(request.body, name);
  }
}

function own(holder: unknown, name: string): unknown {
  if (typeof holder !== "object" || holder === null || !Object.hasOwn(holder, name)) return undefined;
  return (holder as Readonly<Record<string, unknown>>)[name]; // it has it, the line above says
}

const parsed = new WeakMap<HttpRequest, Readonly<Record<string, string | undefined>>>();

/** The cookies of a request, parsed once. */
export function cookiesOf(request: HttpRequest): Readonly<Record<string, string | undefined>> {
  let cookies = parsed.get(request);
  if (cookies === undefined) parsed.set(request, (cookies = parse(request.headers.cookie ?? "")));
  return cookies;
}
