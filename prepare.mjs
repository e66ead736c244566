/**
 * Makes a checkout ready to run: installs the locked dependencies and builds, each only when its inputs changed.
 * npm calls it before `npm start`, `npm test` and `npm run bench`, so that each works as the first command in a fresh clone.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const top = fileURLToPath(new URL('.', import.meta.url))
const sourceFolders = ['supervisor', 'proxy', 'app/host', 'kit', 'bench', 'test']

/** Runs `work` unless `stampFile` already holds `stamp`; a work that fails leaves no stamp. */
function unlessDone(stampFile, stamp, work) {
  try {
    if (readFileSync(stampFile, 'utf8') === stamp) return
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  work()
  writeFileSync(stampFile, stamp)
}

const hash = parts => createHash('sha256').update(parts.join('\n')).digest('hex')

function sourceStamp() {
  const parts = [readFileSync(join(top, 'tsconfig.json'), 'utf8'), readFileSync(join(top, 'package-lock.json'), 'utf8')]
  for (const folder of sourceFolders) {
    for (const name of readdirSync(join(top, folder), { recursive: true }).sort()) {
      if (!/\.c?ts$/.test(name)) continue
      const { size, mtimeMs } = statSync(join(top, folder, name))
      parts.push(`${folder}/${name} ${size} ${mtimeMs}`)
    }
  }
  return hash(parts)
}

function run(title, command, args) {
  process.stderr.write(`${title}\n`)
  execFileSync(command, args, { cwd: top, stdio: ['ignore', 'inherit', 'inherit'] })
}

mkdirSync(join(top, 'node_modules'), { recursive: true })
unlessDone(join(top, 'node_modules/.daimyo-stamp'), hash([readFileSync(join(top, 'package-lock.json'), 'utf8')]), () =>
  run('installing the locked dependencies', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']),
)
mkdirSync(join(top, 'dist'), { recursive: true })
unlessDone(join(top, 'dist/.stamp'), sourceStamp(), () => {
  rmSync(join(top, 'dist'), { recursive: true, force: true })
  run('building', process.execPath, [join(top, 'node_modules/typescript/bin/tsc'), '-p', top])
  chmodSync(join(top, 'dist/supervisor/daimyo.js'), 0o755)
})
