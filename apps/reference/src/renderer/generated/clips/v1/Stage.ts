// Original file: clips/v1/renderer.proto

export const Stage = {
  STAGE_UNSPECIFIED: 'STAGE_UNSPECIFIED',
  STAGE_DECODING: 'STAGE_DECODING',
  STAGE_ENCODING: 'STAGE_ENCODING',
  STAGE_PACKAGING: 'STAGE_PACKAGING',
} as const;

export type Stage =
  | 'STAGE_UNSPECIFIED'
  | 0
  | 'STAGE_DECODING'
  | 1
  | 'STAGE_ENCODING'
  | 2
  | 'STAGE_PACKAGING'
  | 3

export type Stage__Output = typeof Stage[keyof typeof Stage]
