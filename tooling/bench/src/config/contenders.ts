import { readdirSync, readFileSync } from "node:fs";
import { ConfigManager, env, jsonFile, secretFiles, yamlFile } from "@steward/config";
import { loadConfig } from "c12";
import convict from "convict";
import { bool, cleanEnv, num, str } from "envalid";
import * as v from "valibot";
import { parse } from "yaml";
import { REQUIRED, SETTINGS, variableOf } from "./typos.ts";
import type { World } from "./world.ts";

/** Somebody who reads settings. It rejects where it refuses them. */
export interface Contender {
  readonly name: string;
  readonly read: (world: World) => Promise<unknown>;
}

type Tree<T> = { [key: string]: T | Tree<T> };

/** An object of what `leaf` makes of every setting. */
function tree<T>(leaf: (path: string) => T): Tree<T> {
  const root: Tree<T> = {};
  for (const path of Object.keys(SETTINGS)) {
    const keys = path.split(".");
    const last = keys.pop() ?? path;
    let at: Tree<T> = root;
    for (const key of keys) at = (at[key] ??= {}) as Tree<T>; // only leaves are no objects, and these are not on the way
    at[last] = leaf(path);
  }
  return root;
}

function schemaOf(at: Tree<v.GenericSchema>): v.GenericSchema<object, object> {
  const entries = Object.entries(at).map(([key, inner]) => [
    key,
    isSchema(inner) ? inner : v.optional(schemaOf(inner), {}),
  ]);
  return v.strictObject(Object.fromEntries(entries) as Record<string, v.GenericSchema>); // of these entries
}

function isSchema(value: v.GenericSchema | Tree<v.GenericSchema>): value is v.GenericSchema {
  return value["kind"] === "schema";
}

const schema = schemaOf(
  tree((path): v.GenericSchema => {
    const value = SETTINGS[path];
    const type = typeof value === "number" ? v.number() : typeof value === "boolean" ? v.boolean() : v.string();
    return REQUIRED.includes(path) ? type : v.optional(type as v.GenericSchema, value);
  }),
);

const steward: Contender = {
  name: "@steward/config",
  read: async (world) => {
    const sources = [
      yamlFile(world.at("app.yaml")),
      jsonFile(world.at("app.json")),
      secretFiles(world.at("secrets")),
      env(world.environment, { prefix: "APP_" }),
    ];
    await using manager = await new ConfigManager({ schema, sources }).start();
    return manager.client;
  },
};

// Secret files are read into its object by hand, which is the most that can be done for it.
const withConvict: Contender = {
  name: "convict, strict",
  read: async (world) => {
    convict.addParser({ extension: ["yaml"], parse });
    const shape = tree((path) => ({
      format: REQUIRED.includes(path)
        ? (value: unknown) => {
            if (typeof value !== "string" || value === "") throw new Error("must be set");
          }
        : typeof SETTINGS[path] === "number"
          ? Number
          : typeof SETTINGS[path] === "boolean"
            ? Boolean
            : String,
      default: REQUIRED.includes(path) ? "" : SETTINGS[path],
      env: variableOf(path),
    }));
    const config = convict(shape as convict.Schema<unknown>, { env: world.environment, args: [] });
    config.loadFile([world.at("app.yaml"), world.at("app.json")]);
    for (const name of readdirSync(world.at("secrets")))
      config.set(name, readFileSync(world.at(`secrets/${name}`), "utf8"));
    config.validate({ allowed: "strict" });
  },
};

const withEnvalid: Contender = {
  name: "envalid",
  read: async (world) => {
    const specs = Object.entries(SETTINGS).map(([path, value]) => {
      const given = REQUIRED.includes(path) ? {} : { default: value };
      const spec =
        typeof value === "number"
          ? num(given as {})
          : typeof value === "boolean"
            ? bool(given as {})
            : str(given as {});
      return [variableOf(path), spec];
    });
    const problems: string[] = [];
    const reporter = ({ errors }: { readonly errors: object }): void => void problems.push(...Object.keys(errors));
    cleanEnv(world.environment, Object.fromEntries(specs) as {}, { reporter });
    if (problems.length > 0) throw new Error(`missing or wrong: ${problems.join(", ")}`);
  },
};

const withC12: Contender = {
  name: "c12",
  read: async (world) => {
    for (const file of ["app.yaml", "app.json"])
      await loadConfig({ cwd: world.folder, configFile: file, rcFile: false, globalRc: false, packageJson: false });
  },
};

/** Ours first. */
export const CONTENDERS: readonly Contender[] = [steward, withConvict, withEnvalid, withC12];
