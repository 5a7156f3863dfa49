// The worker's interface to the cells of a picture, for all models.
import type { Rect } from './protocol'
import type { Blur } from './running/deblurring'

export interface Automaton {
  /** The lattice of the cells whose changes are reported. */
  readonly rows: number
  readonly columns: number
  /** Initialises the cells from the whole picture. */
  begin(): Promise<void>
  /**
   * One step of the active cells.
   *
   * @returns the mean absolute change of each cell over its channels; undefined if the step was cancelled
   */
  step(): Promise<Float32Array<ArrayBuffer> | undefined>
  /** The picture in the current state of the cells, RGBA bytes, whole or only the active part. */
  picture(everything: boolean): Promise<{ pixels: Uint8ClampedArray<ArrayBuffer>; rect: Rect }>
  /** Writes changed RGBA bytes into the picture, and initialises the cells there; returns whether any byte changed. */
  heal(pixels: Uint8Array, rect: Rect): Promise<boolean>
  /** Called when all steps are done. */
  rest(): void
  /** Frees its memory in the kernels. */
  free(): void
  /** Mean standard deviations of brightness and colour noise that the model uses, in 255ths. */
  readonly noise?: { level: number; chroma: number }
  /** What is known of the blur, of models that take it away with a kernel. */
  readonly blur?: Blur
}
