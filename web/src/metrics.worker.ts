// Scores in a thread of their own: a picture takes a moment.
import { scores } from './metrics'

self.onmessage = ({ data: { picture, clean } }: MessageEvent<{ picture: ImageData; clean: ImageData }>) => {
  self.postMessage(scores(picture, clean))
}
