// A thread beside the worker's.
import { help, type Help } from './kernels'

self.onmessage = ({ data }: MessageEvent<Help>) => help(data)
