/**
 * Tap in one file, which the built tests import in place of the package. Loading the package's 300 files takes 0.35 s of CPU in each test process; loading the
 * bundle takes 0.1 s. It is the same code: esbuild joins the files of the installed version.
 *
 * A link in the build, `test/node_modules/tap`, leads to the bundle. A test that runs in a build without the link imports the package.
 */

import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Printing an element of React is what tap loads React for, at each start. */
const REACT = /tcompare.dist.esm.react-element-to-jsx-string\.js$/
const WITHOUT_REACT = `import { createRequire } from 'node:module'
let print
export default (...words) => {
  print ??= createRequire(import.meta.url)('react-element-to-jsx-string').default
  return print(...words)
}`
/** Of the CommonJS modules in it, which ask for Node's own. */
const REQUIRE = `import { createRequire as createRequireOfBundle } from 'node:module'
const require = createRequireOfBundle(import.meta.url)`

/** Below the installed packages, which the bundle may ask for; tap leaves files of `node_modules/@tapjs` out of the traces that it prints. */
const PLACE = 'node_modules/.daimyo/node_modules/@tapjs/bundle'

/** Makes the bundle, unless it is there and up to date, and leads the tests of a build to it. `top` is the repository, `build` a folder such as `dist`. */
export async function bundleTap(top, build) {
  const folder = join(top, PLACE)
  const stamp = createHash('sha256')
    .update(readFileSync(join(top, 'package-lock.json')))
    .update(readFileSync(new URL(import.meta.url)))
    .digest('hex')
  if (!holds(join(folder, 'stamp'), stamp)) await makeBundle(top, folder, stamp)
  const link = join(build, 'test/node_modules/tap')
  if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) return
  mkdirSync(join(build, 'test/node_modules'), { recursive: true })
  try {
    symlinkSync(folder, link)
  } catch (error) {
    // Another suite was faster.
    if (error.code !== 'EEXIST') throw error
  }
}

async function makeBundle(top, folder, stamp) {
  const { build } = await import('esbuild')
  const aside = `${folder}.${process.pid}.new`
  try {
    await build({
      stdin: { contents: "export * from 'tap'\nexport { default } from 'tap'", resolveDir: top },
      outfile: join(aside, 'index.mjs'),
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      minifyWhitespace: true,
      banner: { js: REQUIRE },
      plugins: [
        { name: 'react', setup: ({ onLoad }) => onLoad({ filter: REACT }, () => ({ contents: WITHOUT_REACT })) },
      ],
    })
    writeFileSync(join(aside, 'package.json'), '{ "name": "tap", "type": "module", "exports": "./index.mjs" }\n')
    writeFileSync(join(aside, 'stamp'), stamp)
    rmSync(folder, { recursive: true, force: true })
    renameSync(aside, folder)
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
}

function holds(path, text) {
  try {
    return readFileSync(path, 'utf8') === text
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    return false
  }
}
