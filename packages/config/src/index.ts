export type { StandardSchema } from "@steward/core/driver";
export { runConfigCommand, type CommandOptions } from "./command/commands.ts";
export { CONFIG_CODES, type ConfigCode } from "./errors.ts";
export type { ConfigFacts, SourceFacts } from "./health.ts";
export { ConfigManager } from "./manager.ts";
export type { ConfigOptions, WatchOptions } from "./options.ts";
export {
  bytes,
  count,
  duration,
  port,
  secret,
  text,
  url,
  type AmountOptions,
  type TextOptions,
  type TextSecret,
  type UrlOptions,
} from "./schema/atoms.ts";
export { envName, type FieldMark } from "./schema/mark.ts";
export type { SecretRules } from "./schema/secrets.ts";
export type { OutputOf } from "./schema/standard.ts";
export { config, isConfig, section, type ConfigDefinitionOptions } from "./settings/definition.ts";
export type { Explanation } from "./settings/explain.ts";
export { describe, type SettingsHandle } from "./settings/handle.ts";
export type { ReloadResult } from "./settings/reloads.ts";
export type { Subscriber } from "./settings/subscribers.ts";
export type { Frozen, PathOf, Settings, ValueAt } from "./settings/value.ts";
export { dotenvFile, jsonFile, yamlFile, type DotenvOptions, type FileOptions } from "./sources/files.ts";
export { secretFiles, type SecretFilesOptions } from "./sources/secret-files.ts";
export type { Source } from "./sources/source.ts";
export { env, overrides, source, type Environment, type EnvOptions, type SourceOptions } from "./sources/values.ts";
