import { fileURLToPath } from 'node:url'

const top = fileURLToPath(new URL('../..', import.meta.url))

/** `next build` makes both: what `next start` serves, and the folder that runs alone. */
export default {
  output: process.env.NEXT_OUTPUT === 'standalone' ? 'standalone' : undefined,
  distDir: process.env.NEXT_OUTPUT === 'standalone' ? '.next-standalone' : '.next',
  outputFileTracingRoot: top,
  turbopack: { root: top },
}
