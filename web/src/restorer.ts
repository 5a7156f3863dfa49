// Restores pictures in a worker: the interface for other pages (docs/web.md).
import type { Kernel, Rect, Report, Request } from './protocol'

export type { Kernel, Rect, Report }

export interface Options {
  /** The name of a model in the folder `models`. */
  model?: string
  /** Side of a tile in cells, for pictures that are restored in tiles. */
  tile?: number
  /** Standard deviation of the noise in 255ths, for models that take it; estimated if undefined. */
  noiseLevel?: number
  /** For models that take a blur kernel; estimated without it. */
  kernel?: Kernel
}

export class Restorer {
  private readonly worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'lnca' })
  private run = 0

  /**
   * @param watch receives all messages about the newest picture
   * @param models URL of the folder with the models' files
   */
  constructor(
    private readonly watch: (report: Report) => void,
    private readonly models = new URL('models/', document.baseURI).href,
  ) {
    this.worker.onmessage = ({ data }: MessageEvent<Report>) => {
      if (data.run === this.run) this.watch(data)
    }
    this.worker.onerror = (event) => {
      event.preventDefault()
      this.watch({
        type: 'failed',
        run: this.run,
        sentence: `The worker cannot run here: ${event.message || 'it did not load'}.`,
      })
    }
  }

  /** Starts with a picture, and cancels any earlier one. */
  restore(picture: ImageData, { model = 'photo-denoise', tile, noiseLevel, kernel }: Options = {}): void {
    const pixels = picture.data.slice().buffer
    const { width, height } = picture
    const file = `${this.models}${model}.safetensors`
    const told = { tile, noiseLevel, kernel }
    this.send({ type: 'restore', run: ++this.run, model: file, pixels, width, height, ...told }, pixels)
  }

  /** Restores a part of the restored picture again that was changed. */
  heal(part: ImageData, left: number, top: number): void {
    const pixels = part.data.slice().buffer
    this.send(
      { type: 'heal', run: this.run, pixels, rect: { left, top, width: part.width, height: part.height } },
      pixels,
    )
  }

  pause(paused: boolean): void {
    this.send({ type: 'pause', paused })
  }

  /** One step, while paused. */
  step(): void {
    this.send({ type: 'step' })
  }

  /** Sets the shortest time of a step in milliseconds. */
  pace(milliseconds: number): void {
    this.send({ type: 'pace', milliseconds })
  }

  close(): void {
    this.worker.terminate()
  }

  private send(request: Request, ...transfer: Transferable[]): void {
    this.worker.postMessage(request, transfer)
  }
}

/** Restores one picture in its own worker. */
export function restore(picture: ImageData, options: Options = {}, models?: string): Promise<ImageData> {
  return new Promise((resolve, reject) => {
    let last: ImageData
    const restorer = new Restorer((report) => {
      if (report.type === 'frame')
        last = new ImageData(new Uint8ClampedArray(report.pixels), picture.width, picture.height)
      if (report.type === 'done') resolve(last)
      if (report.type === 'failed') reject(new Error(report.sentence))
      if (report.type === 'done' || report.type === 'failed') restorer.close()
    }, models)
    restorer.restore(picture, options)
  })
}
