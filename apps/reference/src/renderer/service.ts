import { loadProto } from "@steward/grpc";
import { inPackage } from "../folders.ts";
import type { ProtoGrpcType } from "./generated/renderer.ts";

const loaded = loadProto<ProtoGrpcType>("clips/v1/renderer.proto", {
  includeDirs: [inPackage("src", "renderer", "proto")],
});

/** The service as its `.proto` says; also the class of its clients. */
export const Renderer: ProtoGrpcType["clips"]["v1"]["Renderer"] = loaded.types.clips.v1.Renderer;

/** Its full name, as `grpc.health.v1` knows it. */
export const RENDERER = "clips.v1.Renderer";

/** What the `.proto` holds, for reflection. */
export const { definition } = loaded;
