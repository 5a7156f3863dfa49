// Restores pictures in a worker. What a page of one's own needs (docs/web.md).
import type { Rect, Report, Request } from './protocol'

export type { Rect, Report }

export interface Options {
  /** A model of the folder `models`. */
  model?: string
  /** Cells on a tile's side, for pictures that are worked on in parts. */
  tile?: number
  /** Standard deviation of the noise in 255ths, for models that take it; estimated without it. */
  noiseLevel?: number
}

export class Restorer {
  private readonly worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'lnca' })
  private run = 0

  /**
   * @param watch is told of everything that happens to the newest picture
   * @param models address of the folder with the models' files
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

  /** Begins with a picture; whatever went on before it ends. */
  restore(picture: ImageData, { model = 'photo-denoise', tile, noiseLevel }: Options = {}): void {
    const pixels = picture.data.slice().buffer
    const { width, height } = picture
    const file = `${this.models}${model}.safetensors`
    this.send({ type: 'restore', run: ++this.run, model: file, pixels, width, height, tile, noiseLevel }, pixels)
  }

  /** Begins anew where a part of the restored picture was changed. */
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

  /** Takes at least so many milliseconds a step. */
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

/** The picture restored, with a worker of its own. */
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
