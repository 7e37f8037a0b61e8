// Original file: clips/v1/renderer.proto

import type { Stage as _clips_v1_Stage, Stage__Output as _clips_v1_Stage__Output } from '../../clips/v1/Stage.ts';
import type { Checkpoint as _clips_v1_Checkpoint, Checkpoint__Output as _clips_v1_Checkpoint__Output } from '../../clips/v1/Checkpoint.ts';

export interface RenderProgress {
  'jobId'?: (string);
  'stage'?: (_clips_v1_Stage);
  'percent'?: (number);
  'checkpoint'?: (_clips_v1_Checkpoint | null);
}

export interface RenderProgress__Output {
  'jobId': (string);
  'stage': (_clips_v1_Stage__Output);
  'percent': (number);
  'checkpoint': (_clips_v1_Checkpoint__Output | null);
}
