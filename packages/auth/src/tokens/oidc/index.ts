export { oidcSignIn } from "./sign-in.ts";
export type { BegunOidc, OidcReturn, OidcSignIn, SignedInElsewhere } from "./sign-in.ts";
export type { OidcOptions, StateSealing } from "./options.ts";
