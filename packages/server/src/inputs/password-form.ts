import { resource, type Definition } from "@steward/core";
import { assertShape } from "@steward/core/driver";
import { passwordFormShape } from "../options.ts";
import { form } from "./parameter.ts";

/** What a client sends to the token endpoint of OAuth2's password flow. */
export interface PasswordForm {
  readonly username: string;
  readonly password: string;
  /** What was asked for with `scope`, taken apart at spaces. */
  readonly scopes: readonly string[];
  readonly clientId: string | undefined;
  readonly clientSecret: string | undefined;
}

type FormInput = `request:form ${"username" | "password" | "scope" | "grant_type" | "client_id" | "client_secret"}`;

/**
 * The form of OAuth2's password flow.
 *
 * @param options.strict `true`: `grant_type` has to be there, as the standard has it. Default `false`: many clients omit it.
 */
export function passwordForm(
  options: { readonly strict?: boolean } = {},
): Definition<PasswordForm, "request", FormInput> {
  assertShape("passwordForm", passwordFormShape, options);
  const { strict = false } = options;
  const needs = {
    grantType: form("grant_type", { type: "string", pattern: "^password$" }, { required: strict }),
    username: form("username"),
    password: form("password", { type: "string", format: "password" }),
    scope: form("scope", { type: "string", default: "" }),
    clientId: form("client_id", { type: "string" }, { required: false }),
    clientSecret: form("client_secret", { type: "string", format: "password" }, { required: false }),
  };
  return resource("passwordForm", {
    lifetime: "request",
    needs,
    start: ({ username, password, scope, clientId, clientSecret }) => ({
      username,
      password,
      scopes: scope.split(" ").filter((one) => one !== ""),
      clientId,
      clientSecret,
    }),
  });
}
