import type { JsonSchema } from "../inputs/schema.ts";

const PROBLEM: JsonSchema = {
  type: "object",
  required: ["type", "title", "status", "detail", "requestId"],
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    requestId: { type: "string" },
    code: { type: "string" },
    errors: {
      type: "array",
      items: {
        type: "object",
        required: ["path", "code", "message"],
        properties: {
          path: { type: "string" },
          code: { type: "string" },
          message: { type: "string" },
          limit: { type: "object" },
        },
      },
    },
  },
};

const FASTAPI: JsonSchema = {
  type: "object",
  "x-fastapi": true,
  required: ["detail"],
  properties: {
    detail: {
      anyOf: [
        { type: "string" },
        { type: "object" },
        {
          type: "array",
          items: {
            type: "object",
            required: ["loc", "msg", "type"],
            properties: {
              loc: { type: "array", items: { anyOf: [{ type: "string" }, { type: "integer" }] } },
              msg: { type: "string" },
              type: { type: "string" },
            },
          },
        },
      ],
    },
  },
};

/** The schema of error answers, for the document. */
export function problemSchema(shape: "problem" | "fastapi"): JsonSchema {
  return shape === "problem" ? PROBLEM : FASTAPI;
}
