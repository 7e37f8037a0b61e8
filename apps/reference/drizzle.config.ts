import { defineConfig } from "drizzle-kit";

// `pnpm migrations` compares the tables with the last migration and writes what is missing as the next one.
export default defineConfig({
  dialect: "postgresql",
  schema: [
    "./src/videos/table.ts",
    "./src/secrets/table.ts",
    "./src/processing/table.ts",
    "./src/users/table.ts",
    "./src/speech/table.ts",
  ],
  out: "./migrations",
});
