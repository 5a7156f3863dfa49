// Pointer and keyboard on the canvas: moving, zooming, the line between before and after, and the brush.
import { cut, Stroke, type Tool } from './brush'
import { element } from './dom'
import type { Point, View } from './view'

const HINTS: Record<Tool, string> = {
  move: 'Paint some noise and watch the cells heal it.',
  noise: 'Paint over the picture; the cells begin anew there when you let go.',
  blur: 'Paint over the picture; a model for blur makes it sharp again.',
  damage: 'Paint over the picture; every second pixel is lost.',
  where: 'Paint where the picture should be restored; elsewhere it stays as given.',
}
const KEYBOARD_STEP = 40

export interface Listener {
  picture(): ImageData
  /** Called when a stroke begins. */
  begin(): void
  /** Called when a stroke over this part has ended. */
  spoiled(left: number, top: number, width: number, height: number): void
  /** Called when the mask of where to restore has changed. */
  marked(): void
  split(share: number): void
}

export class Pointing {
  private tool: Tool = 'move'
  private stroke?: Stroke
  private marking = false
  private sliding = false
  private readonly pointers = new Map<number, Point>()

  constructor(
    private readonly view: View,
    private readonly listener: Listener,
  ) {}

  listen(): void {
    const { canvas } = this.view
    canvas.addEventListener('pointerdown', (event) => this.down(event))
    canvas.addEventListener('pointermove', (event) => this.move(event))
    for (const type of ['pointerup', 'pointercancel'] as const) canvas.addEventListener(type, (event) => this.up(event))
    canvas.addEventListener('pointerleave', () => this.hover())
    canvas.addEventListener('keydown', (event) => this.key(event))
    canvas.addEventListener(
      'wheel',
      (event) => {
        event.preventDefault()
        this.view.zoomBy(Math.exp(-event.deltaY / (event.ctrlKey ? 150 : 500)), this.view.place(event))
      },
      { passive: false },
    )
    element('tools').addEventListener('change', (event) =>
      this.choose((event.target as HTMLInputElement).value as Tool),
    )
    element('size').addEventListener('input', () => this.choose(this.tool))
  }

  private choose(tool: Tool): void {
    this.tool = tool
    this.view.canvas.dataset.tool = tool
    this.view.brush = tool === 'move' ? undefined : this.radius
    this.view.cursor ??= { x: this.listener.picture().width / 2, y: this.listener.picture().height / 2 }
    element('hint').textContent = HINTS[tool]
    // Show the whole restored picture while it is painted on.
    if (tool !== 'move') this.listener.split(0)
    this.view.draw()
  }

  private get radius(): number {
    return Number(element<HTMLInputElement>('size').value)
  }

  private down(event: PointerEvent): void {
    const place = this.view.place(event)
    this.view.canvas.setPointerCapture(event.pointerId)
    this.pointers.set(event.pointerId, place)
    if (this.pointers.size > 1) {
      // A second finger starts zooming and ends the action of the first one.
      this.end()
      return
    }
    if (this.tool === 'move') this.sliding = this.view.onLine(place)
    else this.paint(this.view.inPicture(place))
  }

  private move(event: PointerEvent): void {
    const place = this.view.place(event)
    const before = this.pointers.get(event.pointerId)
    this.view.cursor = this.view.inPicture(place)
    if (!before) {
      this.view.canvas.classList.toggle('line', this.tool === 'move' && this.view.onLine(place))
      this.view.draw()
      return
    }
    this.pointers.set(event.pointerId, place)
    if (this.pointers.size === 2) this.pinch(event.pointerId, before, place)
    else if (this.sliding) this.listener.split(this.view.shareAt(place))
    else if (this.stroke || this.marking)
      for (const passed of passedBy(event)) this.paint(this.view.inPicture(this.view.place(passed)))
    else if (this.tool === 'move') this.view.panBy(place.x - before.x, place.y - before.y)
  }

  private pinch(moved: number, before: Point, place: Point): void {
    const [, other] = [...this.pointers].find(([id]) => id !== moved)!
    const length = (a: Point) => Math.hypot(a.x - other.x, a.y - other.y)
    this.view.zoomBy(length(place) / Math.max(length(before), 1), {
      x: (place.x + other.x) / 2,
      y: (place.y + other.y) / 2,
    })
    this.view.panBy((place.x - before.x) / 2, (place.y - before.y) / 2)
  }

  private up(event: PointerEvent): void {
    this.pointers.delete(event.pointerId)
    this.end()
  }

  private hover(): void {
    this.view.cursor = undefined
    this.view.draw()
  }

  private paint(point: Point): void {
    if (this.tool === 'move') return
    if (this.tool === 'where') {
      this.marking = true
      this.view.mark(point, this.radius)
      return
    }
    const picture = this.listener.picture()
    if (!this.stroke) {
      this.listener.begin()
      this.stroke = new Stroke(picture, this.tool, this.radius)
    }
    const rect = this.stroke.to(point.x, point.y)
    if (rect.width > 0 && rect.height > 0) this.view.paint(cut(picture, rect), rect.left, rect.top)
  }

  /** Of what a pointer did. */
  private end(): void {
    const rect = this.stroke?.rect
    const { marking } = this
    this.stroke = undefined
    this.sliding = this.marking = false
    if (rect) this.listener.spoiled(rect.left, rect.top, rect.width, rect.height)
    if (marking) this.listener.marked()
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key]
    if (arrow) this.go(arrow[0], arrow[1], event.shiftKey)
    else if (event.key === '+' || event.key === '=') this.view.zoomBy(1.25)
    else if (event.key === '-') this.view.zoomBy(1 / 1.25)
    else if (event.key === '0') this.view.fit()
    else if (event.key === '1') this.view.actual()
    else if ((event.key === 'Enter' || event.key === ' ') && this.tool !== 'move') this.dab()
    else return
    event.preventDefault()
  }

  private go(x: number, y: number, fine: boolean): void {
    const { view } = this
    if (this.tool === 'move') {
      view.panBy(-x * KEYBOARD_STEP, -y * KEYBOARD_STEP)
      return
    }
    const { width, height } = this.listener.picture()
    const far = fine ? 1 : this.radius
    const from = view.cursor ?? { x: width / 2, y: height / 2 }
    view.cursor = {
      x: Math.min(Math.max(from.x + x * far, 0), width),
      y: Math.min(Math.max(from.y + y * far, 0), height),
    }
    view.draw()
  }

  private dab(): void {
    const { width, height } = this.listener.picture()
    this.view.cursor ??= { x: width / 2, y: height / 2 }
    this.paint(this.view.cursor)
    this.end()
  }
}

/** All points of a move, which a browser may have merged into one event. */
function passedBy(event: PointerEvent): PointerEvent[] {
  const places = event.getCoalescedEvents()
  return places.length ? places : [event]
}
