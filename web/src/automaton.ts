// What the worker asks of a picture's cells, whichever model runs them.
import type { Rect } from './protocol'

export interface Automaton {
  /** Of the cells whose changes are told. */
  readonly rows: number
  readonly columns: number
  /** Makes fresh cells of the whole picture. */
  begin(): Promise<void>
  /**
   * One step of the cells that take part.
   *
   * @returns how much each cell changed: the mean over its channels; undefined when it was given up
   */
  step(): Promise<Float32Array<ArrayBuffer> | undefined>
  /** The picture as the cells have it now: RGBA bytes, of everything or of the part that takes part. */
  picture(everything: boolean): Promise<{ pixels: Uint8ClampedArray<ArrayBuffer>; rect: Rect }>
  /** Puts changed RGBA bytes into the picture, whose cells begin anew; whether any has changed. */
  heal(pixels: Uint8Array, rect: Rect): Promise<boolean>
  /** The steps have been made. */
  rest(): void
  /** Gives back what it has in the kernels' memory. */
  free(): void
  /** Standard deviations of brightness and colour noise that the picture is restored at, on average, in 255ths. */
  readonly noise?: { level: number; chroma: number }
}
