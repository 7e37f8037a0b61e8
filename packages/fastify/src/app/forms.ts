import type { MultipartFile, MultipartValue } from "@fastify/multipart";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { HttpError, InvalidInput, type UploadedFile } from "@steward/server";

/** Bounds of forms that are read into memory. */
export interface FormOptions {
  /** Longest file, in bytes. Default 10 MiB. */
  readonly maxFileBytes?: number;
  /** Most files in one form. Default 10. */
  readonly maxFiles?: number;
  /** Most fields in one form. Default 100. */
  readonly maxFields?: number;
  /** Longest field, in bytes. Default 1 MiB. */
  readonly maxFieldBytes?: number;
}

const MIB = 1024 * 1024;
const URLENCODED = "application/x-www-form-urlencoded";

/** Lets an app parse forms, unless it can already. */
export async function parseForms(app: FastifyInstance, options: FormOptions): Promise<void> {
  const { maxFileBytes = 10 * MIB, maxFiles = 10, maxFields = 100, maxFieldBytes = MIB } = options;
  if (!app.hasContentTypeParser(URLENCODED)) await app.register((await import("@fastify/formbody")).default);
  if (app.hasContentTypeParser("multipart/form-data")) return;
  const { default: multipart } = await import("@fastify/multipart");
  await app.register(multipart, {
    limits: { fileSize: maxFileBytes, files: maxFiles, fields: maxFields, fieldSize: maxFieldBytes },
  });
}

/** Reads a multipart form into the request's body: fields as text, files with their content. Other bodies are left alone. */
export async function readForm(request: FastifyRequest): Promise<void> {
  if (typeof request.isMultipart !== "function" || !request.isMultipart()) return;
  const fields: Record<string, unknown> = Object.create(null) as Record<string, unknown>; // names come from the client
  try {
    for await (const part of request.parts()) {
      const value: unknown = part.type === "file" ? await fileOf(part) : textOf(part);
      const before = fields[part.fieldname];
      fields[part.fieldname] = before === undefined ? value : [before, value].flat();
    }
  } catch (error) {
    throw isTold(error) ? error : malformed();
  }
  request.body = { ...fields };
}

async function fileOf(part: MultipartFile): Promise<UploadedFile> {
  return { filename: part.filename, mimetype: part.mimetype, content: await part.toBuffer() };
}

/** The parser cuts what is too long; half a field is not what the client meant. */
function textOf({ fieldname, value, valueTruncated }: MultipartValue): unknown {
  if (valueTruncated) throw new HttpError(413, `the form field "${fieldname}" is too long`);
  return value;
}

/** Bounds are told by the parser's plugin and by us; everything else that goes wrong is the form's own fault. */
function isTold(error: unknown): boolean {
  return (
    error instanceof HttpError || (error instanceof Error && "code" in error && String(error.code).startsWith("FST_"))
  );
}

function malformed(): InvalidInput {
  return new InvalidInput([{ path: ["body"], code: "form_invalid", message: "Malformed multipart form", input: null }]);
}
