// The page: opens pictures, starts the restorer, and shows the results.
import { cut } from './brush'
import { MODELS, SAMPLES, type Sample } from './catalogue'
import { element, seconds } from './dom'
import { listenForPictures, sampleButton } from './intake'
import { KernelPanel } from './kernelPanel'
import type { Scores } from './metrics'
import { download, mixed, PictureError, read } from './picture'
import { Pointing } from './pointing'
import type { Report } from './protocol'
import { Restorer } from './restorer'
import { Scorer } from './scorer'
import { shared, type Shares } from './shares'
import { copy, spoiled } from './spoil'
import { Timeline, type Frame } from './timeline'
import { CHANGED, View } from './view'

const ROOM = matchMedia('(pointer: coarse)').matches ? 128e6 : 400e6

const page = {
  play: element<HTMLButtonElement>('play'),
  single: element<HTMLButtonElement>('single'),
  scrub: element<HTMLInputElement>('scrub'),
  count: element('count'),
  speed: element<HTMLSelectElement>('speed'),
  model: element<HTMLSelectElement>('model'),
  split: element<HTMLInputElement>('split'),
  heat: element<HTMLInputElement>('heat'),
  auto: element<HTMLInputElement>('auto'),
  level: element<HTMLInputElement>('level'),
  notice: element('notice'),
  status: element('status'),
}

let name = ''
/** The picture as opened, as painted on, and the clean one if it is known. */
let opened: ImageData | undefined
let given: ImageData
let clean: ImageData | undefined
let columns = 1
let state: 'working' | 'paused' | 'done' | 'failed' = 'done'
/** Whether the steps on the whole picture are done, so that parts can be restored again. */
let whole = false
/** Whether the newest step is shown, instead of a chosen one. */
let following = true
let shown: Frame | undefined

const timeline = new Timeline(ROOM)
const restorer = new Restorer(hear)
const scorer = new Scorer(showScores)
const kernel = new KernelPanel({
  changed: () => opened && begin(),
  complain,
  title,
})
const view = new View(element<HTMLCanvasElement>('view'), () => {
  element('zoom').textContent = `${Math.round((100 * view.scale) / devicePixelRatio)}%`
})
const pointing = new Pointing(view, {
  picture: () => given,
  begin: showNewest,
  spoiled: healPart,
  marked: () => {
    element<HTMLButtonElement>('everywhere').disabled = false
    score()
  },
  split: (share) => setSplit(share),
})

function open(picture: ImageData, title: string, reference?: ImageData): void {
  document.body.classList.remove('empty')
  element('welcome').hidden = true
  for (const id of ['view', 'lens']) element(id).hidden = false
  name = title
  opened = copy(picture)
  given = picture
  clean = reference
  element('dimensions').textContent = `${picture.width} × ${picture.height}`
  element('quality').hidden = !clean
  for (const control of document.querySelectorAll<HTMLInputElement>('#controls input, #scrub')) control.disabled = false
  element<HTMLButtonElement>('everywhere').disabled = true
  page.auto.checked = true
  kernel.forget()
  view.open(picture)
  setSplit(0.5)
  begin()
}

/** The picture's name without the suffix. */
function title(): string {
  return name.replace(/\.[^.]*$/, '') || 'picture'
}

/** Restores the given picture from the start. */
function begin(): void {
  timeline.clear()
  whole = false
  following = true
  shown = undefined
  page.notice.hidden = true
  element<HTMLButtonElement>('download').disabled = true
  element('time').textContent = element('changing').textContent = '–'
  page.scrub.value = '0'
  view.setBefore(given)
  setState('working')
  restorer.pause(false)
  const noiseLevel = page.auto.checked ? undefined : Number(page.level.value)
  restorer.restore(given, { model: page.model.value, noiseLevel, kernel: kernel.told })
  page.status.textContent = `Restoring ${name}`
  scorer.forget()
}

function hear(report: Report): void {
  switch (report.type) {
    case 'stage':
      page.count.textContent = /\d/.test(report.text) ? report.text : '…'
      page.scrub.setAttribute('aria-valuetext', report.text)
      break
    case 'ready':
      columns = report.columns
      page.scrub.max = String(report.steps)
      element('engine').hidden = false
      element('engine').textContent = `WASM, ${report.threads} thread${report.threads === 1 ? '' : 's'}`
      break
    case 'noise':
      if (page.auto.checked) page.level.value = String(report.level)
      showLevel(report.level)
      break
    case 'kernel':
      kernel.show(report.kernel, report.confidence)
      break
    case 'progress':
      page.scrub.max = String(report.last)
      if (following) showStep(report.step)
      break
    case 'frame':
      keep(report)
      break
    case 'done':
      whole = true
      setState('done')
      element('time').textContent = seconds(report.milliseconds)
      page.status.textContent = `Restored in ${seconds(report.milliseconds)}`
      break
    case 'failed':
      setState('failed')
      complain(report.sentence)
  }
}

function keep(report: Extract<Report, { type: 'frame' }>): void {
  const frame = timeline.add(report.step, new Uint8ClampedArray(report.pixels), report.rect, given, report.change)
  element<HTMLButtonElement>('download').disabled = false
  if (Number(page.scrub.max) < report.step) page.scrub.max = String(report.step)
  if (following) show(frame)
}

function show(frame: Frame): void {
  shown = frame
  view.setAfter(tempered(frame))
  if (view.heat) view.setChange(frame.change, columns)
  const changing = frame.change.reduce((sum, value) => sum + (value > CHANGED ? 1 : 0), 0) / frame.change.length
  element('changing').textContent = frame.step ? `${Math.round(100 * changing)} %` : '–'
  showStep(frame.step)
  score()
}

function showStep(step: number): void {
  page.scrub.value = String(step)
  page.count.textContent = `${step} of ${page.scrub.max}`
  page.scrub.setAttribute('aria-valuetext', `Step ${step} of ${page.scrub.max}`)
}

function showNewest(): void {
  following = true
  if (timeline.last) show(timeline.last)
}

/** Restores a part again that was painted on. */
function healPart(left: number, top: number, width: number, height: number): void {
  element<HTMLButtonElement>('unspoil').disabled = false
  if (!whole || state === 'failed') {
    begin()
    return
  }
  following = true
  setState('working')
  restorer.pause(false)
  restorer.heal(cut(given, { left, top, width, height }), left, top)
  page.status.textContent = 'The cells heal what was painted'
  scorer.forget()
}

function setState(next: typeof state): void {
  state = next
  const does = { working: 'pause', paused: 'go', done: 'again', failed: 'again' }[next]
  page.play.dataset.does = does
  page.play.disabled = false
  page.play.setAttribute('aria-label', { pause: 'Pause', go: 'Go on', again: 'From the beginning' }[does]!)
  page.play.title = page.play.getAttribute('aria-label')!
  page.single.disabled = next !== 'paused'
}

function setSplit(share: number): void {
  view.split = share
  page.split.value = String(Math.round(100 * share))
  page.split.setAttribute('aria-valuetext', `${page.split.value} percent before`)
  view.draw()
}

/** The picture that is shown and saved: blended by the chosen shares, and restored only where marked. */
function result(frame: Frame): ImageData {
  const mask = view.where
  return mask ? mixed(given, tempered(frame), mask) : tempered(frame)
}

/** A frame with the chosen shares of the correction; the first frame is the given picture in any case. */
function tempered(frame: Frame): ImageData {
  const share = (id: keyof Shares) => Number(element<HTMLInputElement>(id).value) / 100
  return shared(given, frame.picture, { strength: share('strength'), luma: share('luma'), chroma: share('chroma') })
}

/** Shows the noise level, estimated or set. */
function showLevel(level = Number(page.level.value)): void {
  const said = `${page.auto.checked ? 'about ' : ''}${level < 9.95 ? level.toFixed(1) : Math.round(level)}`
  element('level-said').textContent = said
  page.level.setAttribute('aria-valuetext', said)
}

function score(): void {
  if (clean && shown) scorer.ask(given, result(shown), clean)
}

function showScores(before: Scores, after: Scores): void {
  const from = (value: number | undefined, digits: number) =>
    value === undefined ? '–' : value === Infinity ? 'equal' : value.toFixed(digits)
  element('psnr').textContent = `${from(before.psnr, 1)} → ${from(after.psnr, 1)} dB`
  element('ssim').textContent = `${from(before.ssim, 3)} → ${from(after.ssim, 3)}`
}

function complain(sentence: string): void {
  page.notice.textContent = sentence
  page.notice.hidden = false
}

async function take(file: Blob, title: string): Promise<void> {
  page.notice.hidden = true
  try {
    const picture = await read(file)
    chooseModel(MODELS[0].name)
    open(picture, title)
  } catch (error) {
    complain(error instanceof PictureError ? error.message : 'This picture cannot be opened here.')
  }
}

function takeSample({ label, how, model }: Sample, picture: ImageData): void {
  chooseModel(model)
  if (how) open(spoiled(picture, how), label, picture)
  else open(copy(picture), label)
}

function chooseModel(model: string): void {
  page.model.value = model
  const { about, noiseLevel, kernel: takesKernel } = MODELS.find((entry) => entry.name === model)!
  element('about').textContent = about
  element('noise').hidden = !noiseLevel
  kernel.hidden = !takesKernel
}

page.model.append(...MODELS.map(({ name, label }) => new Option(label, name)))
chooseModel(MODELS[0].name)
page.model.onchange = () => {
  chooseModel(page.model.value)
  if (opened) begin()
}
page.speed.onchange = () => restorer.pace(Number(page.speed.value))
page.play.onclick = () => {
  if (state === 'done' || state === 'failed') begin()
  else {
    setState(state === 'working' ? 'paused' : 'working')
    restorer.pause(state === 'paused')
    if (state === 'working') showNewest()
  }
}
page.single.onclick = () => {
  following = true
  restorer.step()
}
page.scrub.oninput = () => {
  const step = Number(page.scrub.value)
  const frame = timeline.at(step)
  if (!frame) return
  following = frame === timeline.last
  show(frame)
}
page.split.oninput = () => setSplit(Number(page.split.value) / 100)
page.heat.onchange = () => {
  view.heat = page.heat.checked
  if (shown) view.setChange(shown.change, columns)
}
element('zoom-in').onclick = () => view.zoomBy(1.5)
element('zoom-out').onclick = () => view.zoomBy(1 / 1.5)
element('fit').onclick = () => view.fit()
element('actual').onclick = () => view.actual()
page.auto.onchange = () => opened && begin()
page.level.oninput = () => {
  page.auto.checked = false
  showLevel()
}
page.level.onchange = () => opened && begin()
for (const id of ['strength', 'luma', 'chroma']) {
  element(id).oninput = () => {
    element(`${id}-said`).textContent = `${element<HTMLInputElement>(id).value} %`
    if (!shown) return
    view.setAfter(tempered(shown))
    score()
  }
}
document.addEventListener('keydown', (event) => {
  const held = event.ctrlKey || event.metaKey || event.altKey || event.repeat
  const taken =
    event.defaultPrevented || (event.target as Element).closest('button, input:not([type=range]), select, a')
  if (event.key !== ' ' || held || taken || page.play.disabled) return
  event.preventDefault()
  page.play.click()
})
element('unspoil').onclick = () => {
  if (!opened) return
  given = copy(opened)
  element<HTMLButtonElement>('unspoil').disabled = true
  begin()
}
element('everywhere').onclick = () => {
  view.clearMask()
  element<HTMLButtonElement>('everywhere').disabled = true
  score()
}
element('download').onclick = () => shown && void download(result(shown), `${title()}-restored.png`)
pointing.listen()

/** Reads the photograph of a sample. */
async function samplePicture({ file }: Sample): Promise<ImageData> {
  return read(await (await fetch(`samples/${file}`)).blob())
}
listenForPictures(take)
void Promise.all(SAMPLES.map(samplePicture)).then((pictures) =>
  pictures.forEach((picture, number) => sampleButton(SAMPLES[number], picture, takeSample)),
)
if (import.meta.env.PROD && 'serviceWorker' in navigator) void navigator.serviceWorker.register('sw.js')
