// Original file: clips/v1/renderer.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { RenderProgress as _clips_v1_RenderProgress, RenderProgress__Output as _clips_v1_RenderProgress__Output } from '../../clips/v1/RenderProgress.ts';
import type { RenderRequest as _clips_v1_RenderRequest, RenderRequest__Output as _clips_v1_RenderRequest__Output } from '../../clips/v1/RenderRequest.ts';

export interface RendererClient extends grpc.Client {
  Render(argument: _clips_v1_RenderRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_clips_v1_RenderProgress__Output>;
  Render(argument: _clips_v1_RenderRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_clips_v1_RenderProgress__Output>;
  render(argument: _clips_v1_RenderRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_clips_v1_RenderProgress__Output>;
  render(argument: _clips_v1_RenderRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_clips_v1_RenderProgress__Output>;
  
}

export interface RendererHandlers extends grpc.UntypedServiceImplementation {
  Render: grpc.handleServerStreamingCall<_clips_v1_RenderRequest__Output, _clips_v1_RenderProgress>;
  
}

export interface RendererDefinition extends grpc.ServiceDefinition {
  Render: MethodDefinition<_clips_v1_RenderRequest, _clips_v1_RenderProgress, _clips_v1_RenderRequest__Output, _clips_v1_RenderProgress__Output>
}
