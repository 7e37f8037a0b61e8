export { kysely } from "./dialect.ts";
