// The pictures after each step, within a memory limit.
import type { Rect } from './protocol'

export interface Frame {
  step: number
  picture: ImageData
  /** The mean change of each cell, row by row. */
  change: Float32Array
}

export class Timeline {
  private frames: Frame[] = []

  /** @param room largest total size of the frames in bytes */
  constructor(private readonly room: number) {}

  /** Adds a whole picture, or a part that changes the last one. */
  add(
    step: number,
    pixels: Uint8ClampedArray<ArrayBuffer>,
    rect: Rect,
    size: { width: number; height: number },
    change: Float32Array,
  ): Frame {
    let picture: ImageData
    if (rect.width === size.width && rect.height === size.height) {
      picture = new ImageData(pixels, size.width, size.height)
    } else {
      const before = this.last!.picture
      picture = new ImageData(before.data.slice(), size.width, size.height)
      for (let row = 0; row < rect.height; row++) {
        picture.data.set(
          pixels.subarray(4 * row * rect.width, 4 * (row + 1) * rect.width),
          4 * ((rect.top + row) * size.width + rect.left),
        )
      }
    }
    const frame = { step, picture, change }
    if (this.last?.step === step) this.frames.pop()
    this.frames.push(frame)
    // Keep the first and the last frame, and drop every second one of the others.
    while (this.frames.length > 3 && this.bytes > this.room) {
      this.frames = this.frames.filter((_, index) => index % 2 === 0 || index === this.frames.length - 1)
    }
    return frame
  }

  /** The frame nearest to a step. */
  at(step: number): Frame | undefined {
    let best: Frame | undefined
    for (const frame of this.frames) {
      if (!best || Math.abs(frame.step - step) <= Math.abs(best.step - step)) best = frame
    }
    return best
  }

  get last(): Frame | undefined {
    return this.frames.at(-1)
  }

  clear(): void {
    this.frames = []
  }

  private get bytes(): number {
    return this.frames.reduce((sum, { picture, change }) => sum + picture.data.byteLength + change.byteLength, 0)
  }
}
