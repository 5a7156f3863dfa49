// The canvas: before and after, the mask, the heat map and the brush; zoom and pan.

export interface Point {
  x: number
  y: number
}

/** A cell has not settled if its mean change over channels is above this. */
export const CHANGED = 0.01

const MOST_ZOOM = 32
// The range of changes in the heat map, on a logarithmic scale.
const COLD = 0.002
const HOT = 0.5
const SHARP = 3
const MARGIN = 16

export class View {
  /** The position of the line between before and after, as a fraction of the width; 0 shows only after. */
  split = 0
  heat = false
  /** Radius of the brush in pixels of the picture, while there is one. */
  brush?: number
  cursor?: Point
  private zoom = 1
  private offset: Point = { x: 0, y: 0 }
  private fitting = true
  private width = 0
  private height = 0
  private readonly before = layer()
  private readonly after = layer()
  private readonly blended = layer()
  private readonly map = layer()
  /** The mask: its alpha is where to restore. */
  private readonly mask = layer()
  private masked = false
  private scheduled = false

  constructor(
    readonly canvas: HTMLCanvasElement,
    private readonly changed: () => void,
  ) {
    new ResizeObserver(() => {
      const { clientWidth, clientHeight } = canvas
      canvas.width = Math.max(1, Math.round(clientWidth * devicePixelRatio))
      canvas.height = Math.max(1, Math.round(clientHeight * devicePixelRatio))
      if (this.fitting) this.fit()
      else this.draw()
    }).observe(canvas)
  }

  /** Shows another picture, which is not restored yet. */
  open(given: ImageData): void {
    this.width = given.width
    this.height = given.height
    for (const { canvas } of [this.before, this.after, this.blended, this.mask]) {
      canvas.width = given.width
      canvas.height = given.height
    }
    this.clearMask()
    this.map.canvas.width = this.map.canvas.height = 1
    this.setBefore(given)
    this.setAfter(given)
    this.fit()
  }

  setBefore(picture: ImageData): void {
    this.before.putImageData(picture, 0, 0)
    this.draw()
  }

  setAfter(picture: ImageData): void {
    this.after.putImageData(picture, 0, 0)
    this.draw()
  }

  /** Updates a part of both pictures, while it is painted. */
  paint(picture: ImageData, left: number, top: number): void {
    this.before.putImageData(picture, left, top)
    this.after.putImageData(picture, left, top)
    this.draw()
  }

  /** Sets the changes of the cells, `columns` in a row. */
  setChange(change: Float32Array, columns: number): void {
    const rows = change.length / columns
    const picture = new ImageData(columns, rows)
    change.forEach((value, at) => {
      const heat = Math.min(Math.max(Math.log(value / COLD) / Math.log(HOT / COLD), 0), 1)
      picture.data.set([...colour(heat), heat && 60 + 150 * heat], 4 * at)
    })
    this.map.canvas.width = columns
    this.map.canvas.height = rows
    this.map.putImageData(picture, 0, 0)
    this.draw()
  }

  /** Marks a disc to restore, with a soft edge. */
  mark({ x, y }: Point, radius: number): void {
    const soft = this.mask.createRadialGradient(x, y, radius / 2, x, y, radius)
    soft.addColorStop(0, '#fff')
    soft.addColorStop(1, '#fff0')
    this.mask.fillStyle = soft
    this.mask.fillRect(x - radius, y - radius, 2 * radius, 2 * radius)
    this.masked = true
    this.draw()
  }

  clearMask(): void {
    this.mask.clearRect(0, 0, this.width, this.height)
    this.masked = false
    this.draw()
  }

  /** RGBA bytes whose alpha is the mask; undefined means everywhere. */
  get where(): Uint8ClampedArray | undefined {
    return this.masked ? this.mask.getImageData(0, 0, this.width, this.height).data : undefined
  }

  /** Device pixels for each pixel of the picture. */
  get scale(): number {
    return this.zoom
  }

  fit(): void {
    const room = MARGIN * devicePixelRatio
    const { width, height } = this.canvas
    this.zoom = Math.min((width - 2 * room) / this.width, (height - 2 * room) / this.height, 4 * devicePixelRatio)
    if (!(this.zoom > 0) || !Number.isFinite(this.zoom)) this.zoom = 1
    this.offset = { x: (width - this.zoom * this.width) / 2, y: (height - this.zoom * this.height) / 2 }
    this.fitting = true
    this.draw()
  }

  /** Zooms by a factor around a point of the canvas; around its centre if undefined. */
  zoomBy(factor: number, around: Point = { x: this.canvas.width / 2, y: this.canvas.height / 2 }): void {
    const zoom = Math.min(Math.max(this.zoom * factor, 0.02), MOST_ZOOM)
    this.offset.x = around.x - ((around.x - this.offset.x) * zoom) / this.zoom
    this.offset.y = around.y - ((around.y - this.offset.y) * zoom) / this.zoom
    this.zoom = zoom
    this.fitting = false
    this.draw()
  }

  /** Zooms to one pixel of the page for each pixel of the picture. */
  actual(): void {
    this.zoomBy(devicePixelRatio / this.zoom)
  }

  panBy(x: number, y: number): void {
    this.offset.x += x
    this.offset.y += y
    this.fitting = false
    this.draw()
  }

  /** The position of the pointer in pixels of the canvas. */
  place(event: MouseEvent): Point {
    const box = this.canvas.getBoundingClientRect()
    return { x: (event.clientX - box.left) * devicePixelRatio, y: (event.clientY - box.top) * devicePixelRatio }
  }

  /** The position in the picture of a point of the canvas. */
  inPicture({ x, y }: Point): Point {
    return { x: (x - this.offset.x) / this.zoom, y: (y - this.offset.y) / this.zoom }
  }

  /** The position of a point of the canvas as a fraction of the width. */
  shareAt(point: Point): number {
    return Math.min(Math.max(this.inPicture(point).x / this.width, 0), 1)
  }

  /** Whether a point of the canvas lies on the line between before and after. */
  onLine(point: Point): boolean {
    return (
      this.split > 0 && Math.abs(point.x - this.offset.x - this.split * this.width * this.zoom) < 22 * devicePixelRatio
    )
  }

  draw(): void {
    if (this.scheduled) return
    this.scheduled = true
    requestAnimationFrame(() => {
      this.scheduled = false
      this.paintAll()
      this.changed()
    })
  }

  private paintAll(): void {
    const { canvas, zoom, offset, width, height } = this
    const context = canvas.getContext('2d')!
    context.setTransform(1, 0, 0, 1, 0, 0)
    context.clearRect(0, 0, canvas.width, canvas.height)
    if (!width) return
    context.setTransform(zoom, 0, 0, zoom, offset.x, offset.y)
    context.imageSmoothingEnabled = zoom < SHARP
    context.imageSmoothingQuality = 'high'
    const line = this.split * width
    context.drawImage(this.masked ? this.blend() : this.after.canvas, 0, 0)
    if (this.heat) {
      context.save()
      context.imageSmoothingEnabled = false
      // The last column and row of cells may reach beyond the picture.
      const side = 2 ** Math.ceil(Math.log2(width / this.map.canvas.width))
      context.beginPath()
      context.rect(0, 0, width, height)
      context.clip()
      context.drawImage(this.map.canvas, 0, 0, side * this.map.canvas.width, side * this.map.canvas.height)
      context.restore()
    }
    if (this.split > 0) this.drawBefore(context, line)
    if (this.brush && this.cursor) {
      context.beginPath()
      context.arc(this.cursor.x, this.cursor.y, this.brush, 0, 2 * Math.PI)
      for (const [colour, wide] of [
        ['#000a', 3],
        ['#fff', 1.5],
      ] as const) {
        context.strokeStyle = colour
        context.lineWidth = (wide * devicePixelRatio) / zoom
        context.stroke()
      }
    }
  }

  private drawBefore(context: CanvasRenderingContext2D, line: number): void {
    context.save()
    context.beginPath()
    context.rect(0, 0, line, this.height)
    context.clip()
    context.clearRect(0, 0, line, this.height)
    context.drawImage(this.before.canvas, 0, 0)
    context.restore()
    const unit = devicePixelRatio / this.zoom
    context.fillStyle = '#fff'
    context.shadowColor = '#0008'
    context.shadowBlur = 4 * devicePixelRatio
    context.fillRect(line - unit, 0, 2 * unit, this.height)
    const middle = this.height / 2
    context.beginPath()
    context.arc(line, middle, 14 * unit, 0, 2 * Math.PI)
    context.fill()
    context.shadowColor = 'transparent'
    context.strokeStyle = '#333'
    context.lineWidth = 1.75 * unit
    context.lineCap = context.lineJoin = 'round'
    for (const side of [-1, 1]) {
      context.beginPath()
      context.moveTo(line + side * 4 * unit, middle - 4 * unit)
      context.lineTo(line + side * 8 * unit, middle)
      context.lineTo(line + side * 4 * unit, middle + 4 * unit)
      context.stroke()
    }
  }

  /** The given picture, with the restored one where the mask is set. */
  private blend(): CanvasImageSource {
    const { blended } = this
    blended.globalCompositeOperation = 'copy'
    blended.drawImage(this.after.canvas, 0, 0)
    blended.globalCompositeOperation = 'destination-in'
    blended.drawImage(this.mask.canvas, 0, 0)
    blended.globalCompositeOperation = 'destination-over'
    blended.drawImage(this.before.canvas, 0, 0)
    return blended.canvas
  }
}

// The colour map of the heat map: violet, red, orange, light yellow.
const HEAT = [
  [40, 11, 84],
  [140, 41, 99],
  [229, 92, 48],
  [252, 190, 40],
  [252, 255, 164],
]

/** The colour of a value in [0, 1]. */
function colour(heat: number): number[] {
  const place = heat * (HEAT.length - 1)
  const below = Math.min(Math.floor(place), HEAT.length - 2)
  return HEAT[below].map((value, at) => value + (place - below) * (HEAT[below + 1][at] - value))
}

function layer(): OffscreenCanvasRenderingContext2D {
  return new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: false })!
}
