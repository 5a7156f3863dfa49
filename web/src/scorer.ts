// Sends one picture at a time to the scoring worker; of those that arrive meanwhile only the newest is kept.
import type { Scores } from './metrics'

interface Question {
  before: ImageData
  after: ImageData
  clean: ImageData
}

export class Scorer {
  private readonly worker = new Worker(new URL('./metrics.worker.ts', import.meta.url), {
    type: 'module',
    name: 'scores',
  })
  private waiting?: Question
  private busy = false
  /** The scores of the given picture, until it changes. */
  private given?: Scores

  constructor(private readonly tell: (before: Scores, after: Scores) => void) {}

  ask(before: ImageData, after: ImageData, clean: ImageData): void {
    this.waiting = { before, after, clean }
    if (!this.busy) void this.work()
  }

  /** Must be called when the given picture has changed. */
  forget(): void {
    this.given = undefined
  }

  private async work(): Promise<void> {
    this.busy = true
    while (this.waiting) {
      const { before, after, clean } = this.waiting
      this.waiting = undefined
      this.given ??= await this.scores(before, clean)
      this.tell(this.given, await this.scores(after, clean))
    }
    this.busy = false
  }

  private scores(picture: ImageData, clean: ImageData): Promise<Scores> {
    return new Promise((resolve) => {
      this.worker.onmessage = ({ data }: MessageEvent<Scores>) => resolve(data)
      this.worker.postMessage({ picture, clean })
    })
  }
}
