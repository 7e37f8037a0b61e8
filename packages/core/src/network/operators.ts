import type { IncomingMessage, ServerResponse } from "node:http";
import { bearerCheck } from "../bearer.ts";
import { rule, type Rule } from "../options/rules.ts";

const LEAST_TOKEN = 16;

/** The option that holds a token of operators. */
export function operatorToken(): Rule {
  return rule("text", (given) =>
    typeof given === "string" && given.length >= LEAST_TOKEN
      ? undefined
      : `must be text of at least ${LEAST_TOKEN} characters`,
  );
}

/**
 * What stands before a route of operators: it answers 401 to who does not know the token, and 405 to any other method.
 * @returns Whether the request may go on; if not, it is answered.
 */
export function operatorDoor(
  token: string,
  methods: readonly string[],
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const isAllowed = bearerCheck(token);
  return ({ headers, method }, response) => {
    if (!isAllowed(headers.authorization)) {
      answerJson(response, 401, { error: "this needs the token" }, { "www-authenticate": "Bearer" });
      return false;
    }
    if (methods.includes(method ?? "")) return true;
    answerJson(response, 405, { error: `only ${methods.join(" and ")}` }, { allow: methods.join(", ") });
    return false;
  };
}

/** Answers with JSON that no cache keeps. */
export function answerJson(
  response: ServerResponse,
  status: number,
  content: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  const kind = { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" };
  response.writeHead(status, { ...kind, ...headers }).end(JSON.stringify(content));
}
