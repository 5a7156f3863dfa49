// Computes scores in a separate thread, because a picture takes some time.
import { scores } from './metrics'

self.onmessage = ({ data: { picture, clean } }: MessageEvent<{ picture: ImageData; clean: ImageData }>) => {
  self.postMessage(scores(picture, clean))
}
