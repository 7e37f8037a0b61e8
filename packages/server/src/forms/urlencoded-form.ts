import { parse } from "node:querystring";
import { notUtf8 } from "../inputs/text.ts";
import { tooLarge } from "./form-errors.ts";

/** Most fields of an urlencoded form: a body of 1 MiB has room for half a million, which take their time. */
const MAX_FIELDS = 1_000;
const ENCODED = /(?:%[\da-f]{2})+/gi;

/**
 * The fields of an urlencoded form; those of one name are a list. A `%` that encodes nothing stands for itself.
 *
 * @throws HttpError 413 for more than 1,000 fields, 400 for bytes that are not UTF-8.
 */
export function urlencodedFields(text: string): Readonly<Record<string, unknown>> {
  if (text.split("&", MAX_FIELDS + 1).length > MAX_FIELDS)
    throw tooLarge(`the form has more than ${MAX_FIELDS} fields`);
  let isText = true;
  const decoded = (part: string): string => {
    try {
      return part.replaceAll(ENCODED, (bytes) => decodeURIComponent(bytes));
    } catch {
      isText = false;
      return part;
    }
  };
  const fields = { ...parse(text, "&", "=", { maxKeys: 0, decodeURIComponent: decoded }) };
  if (!isText) throw notUtf8();
  return fields;
}
