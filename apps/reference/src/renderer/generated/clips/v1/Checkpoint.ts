// Original file: clips/v1/renderer.proto


export interface Checkpoint {
  'position'?: (number);
  'state'?: (Buffer | Uint8Array | string);
}

export interface Checkpoint__Output {
  'position': (number);
  'state': (Buffer);
}
