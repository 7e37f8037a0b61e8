/** What text can stand for: how a variable is read is decided by what the schema expects. */
export type TextType = "string" | "number" | "boolean" | "duration" | "bytes";

/** What may be said of every field. */
interface AnyField {
  /** True where it may be left out. */
  readonly optional: boolean;
  /** What it is where it is left out. */
  readonly fallback: unknown;
  /** What it is for, in the words of the schema. */
  readonly description: string | undefined;
  /** True for what is never shown. */
  readonly secret: boolean;
  /** The name of its variable, where that is not computed. */
  readonly variable: string | undefined;
}

/** An object with known names. */
export interface ObjectField extends AnyField {
  readonly kind: "object";
  readonly entries: ReadonlyMap<string, Field>;
  /** True where other names are allowed too. */
  readonly open: boolean;
}

/** A list. In a variable it is one text: JSON, or entries with commas between them. */
export interface ListField extends AnyField {
  readonly kind: "list";
  readonly item: Field;
}

/** An object with any names. In a variable it is JSON. */
export interface RecordField extends AnyField {
  readonly kind: "record";
  readonly value: Field;
}

/** A single value. */
export interface ValueField extends AnyField {
  readonly kind: "value";
  readonly types: readonly TextType[];
  /** All that it may be, where that is a few words. */
  readonly words: readonly string[] | undefined;
  /** True where text that is empty is a value and does not count as unset. */
  readonly mayBeEmpty: boolean;
}

/** What only the schema can judge. In a variable it is text, or JSON where it reads as an object or a list. */
export interface OpaqueField extends AnyField {
  readonly kind: "opaque";
}

/** What a schema says of one place in the settings. */
export type Field = ObjectField | ListField | RecordField | ValueField | OpaqueField;

/** What a field says where its schema says nothing. */
export const PLAIN: AnyField = {
  optional: false,
  fallback: undefined,
  description: undefined,
  secret: false,
  variable: undefined,
};

/** The field at a path; `undefined` where the schema knows none. */
export function fieldAt(root: Field, keys: readonly string[]): Field | undefined {
  let field: Field | undefined = root;
  for (const key of keys) {
    if (field === undefined || field.kind === "value") return undefined;
    if (field.kind === "opaque") return field;
    field = field.kind === "object" ? field.entries.get(key) : field.kind === "list" ? field.item : field.value;
  }
  return field;
}

/** A field that is read as a whole: anything but an object. */
export interface Leaf {
  /** Path with dots, such as `database.url`. */
  readonly path: string;
  readonly keys: readonly string[];
  readonly field: Exclude<Field, ObjectField>;
  /** True where it, or an object around it, may be left out. */
  readonly optional: boolean;
}

/** All leaves, in the order of the schema. */
export function leavesOf(root: ObjectField): Leaf[] {
  const found: Leaf[] = [];
  const walk = (field: Field, keys: readonly string[], optional: boolean): void => {
    const mayMiss = optional || field.optional;
    if (field.kind !== "object") found.push({ path: keys.join("."), keys, field, optional: mayMiss });
    else for (const [key, inner] of field.entries) walk(inner, [...keys, key], mayMiss && keys.length > 0);
  };
  walk(root, [], false);
  return found;
}

/** What a field expects, in words. */
export function expectation(field: Field): string {
  switch (field.kind) {
    case "object":
    case "record":
      return "an object";
    case "list":
      return "a list";
    case "opaque":
      return "a value";
    case "value":
      return field.words === undefined ? field.types.map((type) => WORDS[type]).join(" or ") : oneOf(field.words);
  }
}

const WORDS: Readonly<Record<TextType, string>> = {
  string: "text",
  number: "a number",
  boolean: "true or false",
  duration: "a duration such as 30s",
  bytes: "a size such as 64KiB",
};

/** A few words to choose from. */
function oneOf(words: readonly string[]): string {
  return words.map((word) => JSON.stringify(word)).join(" | ");
}
