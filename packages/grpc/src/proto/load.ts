import { loadPackageDefinition, type GrpcObject } from "@grpc/grpc-js";
import { loadSync, type Options, type PackageDefinition } from "@grpc/proto-loader";

/** What a `.proto` file holds, ready for clients and servers. */
export interface LoadedProto<Types> {
  /** Client classes by package and name, in the types of `proto-loader-gen-types`. */
  readonly types: Types;
  /** For reflection. */
  readonly definition: PackageDefinition;
}

/**
 * Reads `.proto` files, without any network. The type argument is the `ProtoGrpcType` that `proto-loader-gen-types`
 * (of `@grpc/proto-loader`) writes for the file; give it and this function the same options.
 *
 * Names become camelCase, 64-bit numbers texts, enums their names, and absent fields their defaults, unless `options` say otherwise.
 *
 * @example
 * ```ts fragment
 * import { loadProto } from "@steward/grpc";
 * import type { ProtoGrpcType } from "./generated/renderer.ts";
 * const { types } = loadProto<ProtoGrpcType>("renderer.proto", { includeDirs: [import.meta.dirname] });
 * const client = channel.as(types.clips.v1.Renderer);
 * ```
 */
export function loadProto<Types = GrpcObject>(
  files: string | readonly string[],
  options: Options = {},
): LoadedProto<Types> {
  const definition = loadSync(typeof files === "string" ? files : [...files], {
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
    ...options,
  });
  return { types: loadPackageDefinition(definition) as Types, definition }; // the generated types say what the file holds
}
