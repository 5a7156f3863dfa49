// The models of the page, best first; `make web` converts exactly these.
import type { Spoiling } from './spoil'

export interface Model {
  name: string
  label: string
  about: string
  /** Whether it takes a noise level. */
  noiseLevel?: boolean
  /** Whether it takes a blur kernel. */
  kernel?: boolean
}

export const MODELS: Model[] = [
  {
    name: 'photo-denoise',
    label: 'Photographs: noise',
    about: 'For noise of cameras, grain and JPEG, at full size. 3 steps.',
    noiseLevel: true,
  },
  {
    name: 'photo-deblur',
    label: 'Photographs: shaken hand',
    about: 'Finds how the camera moved, or takes a kernel of yours, and undoes it. 3 rounds.',
    noiseLevel: true,
    kernel: true,
  },
  {
    name: 'lnca-denoise',
    label: 'Lost pixels',
    about: 'Where many pixels are hit by noise and others are not. 16 steps.',
  },
  {
    name: 'latent-nafca-denoise',
    label: 'Paper: NAFCA, noise',
    about: 'The paper’s rule without attention. 64 steps to watch.',
  },
  {
    name: 'latent-vitca-denoise',
    label: 'Paper: ViTCA, noise',
    about: 'The paper’s rule with local attention. 64 steps to watch.',
  },
  {
    name: 'latent-nafca-deblur',
    label: 'Paper: NAFCA, blur',
    about: 'The paper’s rule without attention, for blur. 64 steps.',
  },
  {
    name: 'latent-vitca-deblur',
    label: 'Paper: ViTCA, blur',
    about: 'The paper’s rule with local attention, for blur. 64 steps.',
  },
]

export interface Sample {
  label: string
  /** The photograph in the folder `samples`. */
  file: string
  /** How the page corrupts it, so that the clean one is known; a noisy photograph stays as it is. */
  how?: Spoiling
  model: string
}

export const SAMPLES: Sample[] = [
  { label: 'A noisy photograph', file: 'lizard.jpg', model: 'photo-denoise' },
  { label: 'Night', file: 'lake.jpg', how: 'camera', model: 'photo-denoise' },
  { label: 'Lost pixels', file: 'lake.jpg', how: 'grain', model: 'lnca-denoise' },
]
