import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Checkpoint as _clips_v1_Checkpoint, Checkpoint__Output as _clips_v1_Checkpoint__Output } from './clips/v1/Checkpoint.ts';
import type { RenderProgress as _clips_v1_RenderProgress, RenderProgress__Output as _clips_v1_RenderProgress__Output } from './clips/v1/RenderProgress.ts';
import type { RenderRequest as _clips_v1_RenderRequest, RenderRequest__Output as _clips_v1_RenderRequest__Output } from './clips/v1/RenderRequest.ts';
import type { RendererClient as _clips_v1_RendererClient, RendererDefinition as _clips_v1_RendererDefinition } from './clips/v1/Renderer.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  clips: {
    v1: {
      Checkpoint: MessageTypeDefinition<_clips_v1_Checkpoint, _clips_v1_Checkpoint__Output>
      RenderProgress: MessageTypeDefinition<_clips_v1_RenderProgress, _clips_v1_RenderProgress__Output>
      RenderRequest: MessageTypeDefinition<_clips_v1_RenderRequest, _clips_v1_RenderRequest__Output>
      Renderer: SubtypeConstructor<typeof grpc.Client, _clips_v1_RendererClient> & { service: _clips_v1_RendererDefinition }
      Stage: EnumTypeDefinition
    }
  }
}

