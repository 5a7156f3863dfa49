// The messages between the page and its worker.
import type { Plane } from './running/kernels'

/** A blur kernel: how much light of a point falls where, not negative, of any sum; its middle is where nothing moves. */
export type Kernel = Plane

/** A part of a picture, in pixels. */
export interface Rect {
  left: number
  top: number
  width: number
  height: number
}

/** Messages to the worker. Pixels are RGBA bytes, row by row, and are transferred. */
export type Request =
  | {
      type: 'restore'
      run: number
      /** URL of the model's file. */
      model: string
      pixels: ArrayBuffer
      width: number
      height: number
      /** Side of a tile in cells, for pictures that are restored in tiles; the worker's choice if undefined. */
      tile?: number
      /** Standard deviation of the noise in 255ths, for models that take it; estimated if undefined. */
      noiseLevel?: number
      /** For models that take a blur kernel; estimated without it. */
      kernel?: Kernel
    }
  /** A part of the picture has changed: its cells are initialised again, the others stay. */
  | { type: 'heal'; run: number; pixels: ArrayBuffer; rect: Rect }
  | { type: 'pause'; paused: boolean }
  /** One step, while paused. */
  | { type: 'step' }
  /** Shortest time of a step in milliseconds; with 0 steps run at full speed, and slow drawings are skipped. */
  | { type: 'pace'; milliseconds: number }

/** Messages from the worker; `run` is that of the request. */
export type Report =
  | { type: 'stage'; run: number; text: string }
  | { type: 'ready'; run: number; steps: number; threads: number; columns: number; rows: number }
  /** Mean standard deviations of brightness and colour noise that the model uses, in 255ths. */
  | { type: 'noise'; run: number; level: number; chroma: number }
  /** The blur kernel that the picture is restored with, of sum 1: how far it is trusted, and blended with a single pixel so far. */
  | { type: 'kernel'; run: number; kernel: Kernel; confidence: number }
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
  /** `last` is the number of the last step. */
  | { type: 'progress'; run: number; step: number; last: number }
  | { type: 'done'; run: number; step: number; milliseconds: number }
  | { type: 'failed'; run: number; sentence: string }
