// Original file: clips/v1/renderer.proto

import type { Checkpoint as _clips_v1_Checkpoint, Checkpoint__Output as _clips_v1_Checkpoint__Output } from '../../clips/v1/Checkpoint.ts';

export interface RenderRequest {
  'jobId'?: (string);
  'sourceUrl'?: (string);
  'durationMs'?: (number);
  'resume'?: (_clips_v1_Checkpoint | null);
  '_resume'?: "resume";
}

export interface RenderRequest__Output {
  'jobId': (string);
  'sourceUrl': (string);
  'durationMs': (number);
  'resume'?: (_clips_v1_Checkpoint__Output | null);
  '_resume'?: "resume";
}
