// The blur kernel in the panel: what was found, and one's own.
import { element } from './dom'
import { kernelFile, readKernel } from './kernelFile'
import { handOver, PictureError } from './picture'
import type { Kernel } from './protocol'

interface Page {
  /** Another kernel is told, or none. */
  changed(): void
  complain(sentence: string): void
  /** Of the picture, without what says its format. */
  title(): string
}

export class KernelPanel {
  /** One's own kernel; undefined where it is to be estimated. */
  told?: Kernel
  private chosen?: Kernel
  private shown?: Kernel
  private readonly automatic = element<HTMLInputElement>('kernel-auto')
  private readonly drawing = element<HTMLCanvasElement>('kernel-view')
  private readonly save = element<HTMLButtonElement>('kernel-save')
  private readonly choose = element<HTMLButtonElement>('kernel-choose')

  constructor(private readonly page: Page) {
    const input = element<HTMLInputElement>('kernel-file')
    this.choose.onclick = () => input.click()
    input.onchange = () => {
      const file = input.files?.[0]
      // So that the same file can be chosen again.
      input.value = ''
      if (file) void this.take(file)
    }
    this.automatic.onchange = () => {
      // There is nothing to go back to before a kernel was chosen.
      if (!this.automatic.checked && !this.chosen) {
        this.automatic.checked = true
        input.click()
        return
      }
      this.told = this.automatic.checked ? undefined : this.chosen
      this.page.changed()
    }
    this.save.onclick = async () => {
      if (this.shown) handOver(await kernelFile(this.shown), `${this.page.title()}-kernel.png`)
    }
  }

  set hidden(hidden: boolean) {
    element('kernel').hidden = hidden
  }

  /** Another picture is there, of whose blur nothing is known. */
  forget(): void {
    this.told = this.chosen = this.shown = undefined
    this.automatic.checked = true
    this.save.disabled = true
    this.choose.disabled = false
    this.drawing.width = this.drawing.height = 1
    this.say('Where the light of a point went.', 'No kernel yet')
  }

  /** Draws the kernel that the picture is restored with, its largest value white. */
  show(kernel: Kernel, confidence: number): void {
    const { data, rows, columns } = (this.shown = kernel)
    const most = data.reduce((most, value) => Math.max(most, value), 0)
    const picture = new ImageData(columns, rows)
    data.forEach((value, at) => {
      const grey = (255 * value) / most
      picture.data.set([grey, grey, grey, 255], 4 * at)
    })
    this.drawing.width = columns
    this.drawing.height = rows
    this.drawing.getContext('2d')!.putImageData(picture, 0, 0)
    this.save.disabled = false
    this.say(this.sentence(confidence), `Blur kernel of ${columns} × ${rows} pixels`)
  }

  private sentence(confidence: number): string {
    if (this.told) return 'Yours.'
    if (confidence === 0) return 'No blur was found that is sure enough: the picture stays as it is.'
    if (confidence === 1) return 'Found in the picture.'
    return `Found in the picture, and trusted by ${Math.round(100 * confidence)} %: less is done.`
  }

  private say(sentence: string, label: string): void {
    element('kernel-said').textContent = sentence
    this.drawing.setAttribute('aria-label', label)
  }

  private async take(file: Blob): Promise<void> {
    try {
      this.told = this.chosen = await readKernel(file)
      this.automatic.checked = false
      this.page.changed()
    } catch (error) {
      this.page.complain(error instanceof PictureError ? error.message : 'This kernel cannot be opened here.')
    }
  }
}
