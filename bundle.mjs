/**
 * Joins our own modules into one file for each program of a build: finding, reading and linking a module costs a start more than half a millisecond
 * (`docs/decisions/programs-are-bundles.md`). `prepare.mjs` calls it for each build.
 *
 * A bundle takes the place of the program's entry file, under the same name; parts that few starts need lie beside it and are loaded when they are needed. The
 * single modules stay where they are, for the tests. Packages stay packages.
 * Must stay true: a program imports no single module, or a module would be there twice (`test/bundle.ts`).
 */

import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/**
 * `entry`: the file that is started, from the top of the build. `hub`: what the program has loaded before any of its lazy parts, or what costs too little to be in a
 * file of its own; it lies in one file for all of them.
 */
export const PROGRAMS = [
  {
    entry: 'supervisor/daimyo.js',
    hub: [
      'supervisor/command.js',
      'supervisor/attached/stop-time.js',
      'supervisor/control/readiness.js',
      'supervisor/listen/socket-file.js',
    ],
  },
  { entry: 'supervisor/rotation/log-child-main.js' },
  { entry: 'supervisor/task-child-main.js' },
  { entry: 'supervisor/child/loop-guard-thread.js' },
  { entry: 'proxy/main.js' },
  { entry: 'app/host/main.js' },
  { entry: 'app/host/watchdog/watchdog-thread.js' },
]

/** Of the oldest Node that is supported. */
const TARGET = 'node20.19'

/**
 * Puts the bundles of these programs into a folder that holds all modules of a build. Resolves with the modules that each was made from and the files that it
 * consists of, from the top of the build.
 */
export async function bundlePrograms(build, programs) {
  if (programs.length === 0) return []
  const esbuild = await import('esbuild')
  return Promise.all(programs.map(program => bundle(esbuild, build, program)))
}

async function bundle(esbuild, build, { entry, hub = [] }) {
  const name = basename(entry, '.js')
  const { outputFiles, metafile } = await esbuild.build({
    absWorkingDir: build,
    entryPoints: [entry],
    outdir: dirname(entry),
    chunkNames: `${name}-[name]-[hash]`,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: TARGET,
    packages: 'external',
    // It costs a start nothing: Node reads a map with --enable-source-maps only. It leads to the TypeScript, by way of the compiler's own maps.
    sourcemap: 'linked',
    sourcesContent: false,
    banner: { js: linesForTheShell(join(build, entry)) },
    plugins: [
      behindHub(
        join(build, entry),
        hub.map(path => join(build, path)),
      ),
    ],
    allowOverwrite: true,
    write: false,
    metafile: true,
    logLevel: 'warning',
  })
  // Renamed, not written: another build may have the file under the same name as a link.
  for (const { path, contents } of outputFiles) {
    writeFileSync(`${path}.new`, contents)
    renameSync(`${path}.new`, path)
  }
  return { entry, modules: Object.keys(metafile.inputs), files: Object.keys(metafile.outputs) }
}

/** The line below `#!`, which is the shell's too and a comment to Node. */
function linesForTheShell(entry) {
  const [first, second] = readFileSync(entry, 'utf8').split('\n', 2)
  return first.startsWith('#!') ? second : ''
}

/**
 * esbuild makes a file of its own for each set of parts that share modules. Each part has the hub among its imports here: so all modules of the hub are shared by all
 * parts, and lie in one file. No such part is what `entry` loads before the hub.
 */
function behindHub(entry, hub) {
  const setup = ({ onResolve, onLoad }) => {
    onResolve({ filter: /^\./ }, ({ kind, path, importer, resolveDir }) => {
      const file = join(resolveDir, path)
      const isPart = hub.length > 0 && kind === 'dynamic-import' && (importer !== entry || hub.includes(file))
      return isPart ? { path: file, pluginData: hub } : undefined
    })
    onLoad({ filter: /./ }, ({ path, pluginData }) => {
      if (pluginData !== hub) return
      const imports = hub.map(file => `import ${JSON.stringify(file)}`)
      // Below the code, whose lines are those of its map.
      return { contents: [readFileSync(path, 'utf8'), ...imports].join('\n') }
    })
  }
  return { name: 'hub', setup }
}
