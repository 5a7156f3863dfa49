// The ways to open a picture: a file dialog, drag and drop, pasting, and samples.
import { middle } from './brush'
import type { Sample } from './catalogue'
import { element } from './dom'
import { random, spoiled } from './spoil'

const THUMBNAIL = { width: 296, height: 208 }

export function listenForPictures(take: (file: Blob, title: string) => void): void {
  const input = element<HTMLInputElement>('file')
  const takeFirst = (files?: FileList | null) => {
    const file = files?.[0]
    if (file) take(file, file.name || 'picture')
  }
  for (const id of ['open', 'choose']) element(id).onclick = () => input.click()
  input.onchange = () => {
    takeFirst(input.files)
    // Allows the same file to be chosen again.
    input.value = ''
  }
  document.addEventListener('paste', ({ clipboardData }) => takeFirst(clipboardData?.files))
  let inside = 0
  const stage = document.body
  document.addEventListener('dragenter', () => stage.classList.toggle('dragging', ++inside > 0))
  document.addEventListener('dragleave', () => stage.classList.toggle('dragging', --inside > 0))
  document.addEventListener('dragover', (event) => event.preventDefault())
  document.addEventListener('drop', (event) => {
    event.preventDefault()
    inside = 0
    stage.classList.remove('dragging')
    takeFirst(event.dataTransfer?.files)
  })
  drawCells(element('cells'))
}

/** A button for a sample, with a close-up of its noise. */
export function sampleButton(
  sample: Sample,
  picture: ImageData,
  take: (sample: Sample, picture: ImageData) => void,
): void {
  const closeUp = middle(picture, THUMBNAIL)
  const canvas = document.createElement('canvas')
  canvas.width = closeUp.width
  canvas.height = closeUp.height
  canvas.getContext('2d')!.putImageData(sample.how ? spoiled(closeUp, sample.how) : closeUp, 0, 0)
  const button = document.createElement('button')
  button.type = 'button'
  button.append(canvas, sample.label)
  button.onclick = () => take(sample, picture)
  const item = document.createElement('li')
  item.append(button)
  element('samples').append(item)
}

/** Draws a small lattice, disordered on the left and ordered on the right. */
function drawCells(drawing: HTMLElement): void {
  const draw = random(7)
  const size = 12
  for (let column = 0; column < 10; column++) {
    for (let row = 0; row < 6; row++) {
      const cell = document.createElementNS('http://www.w3.org/2000/svg', 'rect')
      const order = Math.min(1, Math.max(0, (column - 1.5) / 6))
      const smooth = 0.25 + 0.65 * Math.exp(-(((row - 2.5) / 2) ** 2) - ((column - 7) / 5) ** 2)
      const values = {
        x: column * size + 1,
        y: row * size + 1,
        width: size - 2,
        height: size - 2,
        rx: 2.5,
        'fill-opacity': order * smooth + (1 - order) * draw(),
      }
      for (const [key, value] of Object.entries(values)) cell.setAttribute(key, String(value))
      drawing.append(cell)
    }
  }
}
