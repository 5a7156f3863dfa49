// What the page and its worker say to each other.

/** A part of a picture, in pixels. */
export interface Rect {
  left: number
  top: number
  width: number
  height: number
}

/** To the worker. Pixels are RGBA bytes, row by row, and are handed over. */
export type Request =
  | {
      type: 'restore'
      run: number
      /** Address of the model's file. */
      model: string
      pixels: ArrayBuffer
      width: number
      height: number
      /** Cells on a tile's side, for pictures that are worked on in parts; the worker's own choice without it. */
      tile?: number
      /** Standard deviation of the noise in 255ths, for models that take it; estimated without it. */
      noiseLevel?: number
    }
  /** A part of the picture has changed: its cells begin anew, among the others. */
  | { type: 'heal'; run: number; pixels: ArrayBuffer; rect: Rect }
  | { type: 'pause'; paused: boolean }
  /** One step, while paused. */
  | { type: 'step' }
  /** At least so many milliseconds a step; 0: as fast as it goes, and steps that are slow to draw are not drawn. */
  | { type: 'pace'; milliseconds: number }

/** From the worker; `run` is that of the request. */
export type Report =
  | { type: 'stage'; run: number; text: string }
  | { type: 'ready'; run: number; steps: number; threads: number; columns: number; rows: number }
  /** Standard deviations of brightness and colour noise that the picture is restored at, on average, in 255ths. */
  | { type: 'noise'; run: number; level: number; chroma: number }
  | {
      type: 'frame'
      run: number
      step: number
      /** RGBA bytes of `rect`. */
      pixels: ArrayBuffer
      rect: Rect
      /** Mean change of each cell's channels in this step, row by row of the lattice. */
      change: Float32Array
    }
  /** `last`: steps there will be. */
  | { type: 'progress'; run: number; step: number; last: number }
  | { type: 'done'; run: number; step: number; milliseconds: number }
  | { type: 'failed'; run: number; sentence: string }
