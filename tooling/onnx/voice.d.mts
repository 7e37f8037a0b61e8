export declare const engine: string;
export declare const voice: string;
