/** Where a box stands. */
export interface LayoutBox {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly column: number;
}

/** A graph that has been laid out: who needs stands left of what it needs. */
export interface Layout {
  readonly width: number;
  readonly height: number;
  /** By the name of the node. */
  readonly boxes: ReadonlyMap<string, LayoutBox>;
  readonly edges: readonly {
    readonly from: string;
    readonly to: string;
    readonly points: readonly (readonly [x: number, y: number])[];
  }[];
}

/** Places boxes and routes edges, by names and needs alone: the same graph always looks the same. */
export function layout(
  nodes: readonly { readonly name: string; readonly needs: readonly { readonly name: string }[] }[],
): Layout;

/** The path of an edge, for the attribute `d` of SVG. */
export function pathOf(points: Layout["edges"][number]["points"]): string;
