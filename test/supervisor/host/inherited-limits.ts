/** Tests `supervisor/host/inherited-limits.ts` in a process of its own, whose children show what they inherit. */

import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const module = fileURLToPath(new URL('../../../supervisor/host/inherited-limits.js', import.meta.url))

function show(limits: object, show: string): string {
  const code = `
    import { setInheritedLimits } from ${JSON.stringify(module)}
    import { execSync } from 'node:child_process'
    try {
      setInheritedLimits({ umask: null, prio: null, maxFd: null, ...${JSON.stringify(limits)} })
      console.log(execSync(${JSON.stringify(show)}).toString().trim())
    } catch (error) {
      console.log(error.code, error.exitCode, error.message)
    }`
  return execFileSync(process.execPath, ['--input-type=module', '-e', code], { env: { PATH: process.env.PATH } })
    .toString()
    .trim()
}

t.equal(show({ umask: 0o027 }, 'umask'), '0027')
t.equal(show({ prio: 7 }, 'nice'), '7')
t.equal(show({ maxFd: 256 }, 'ulimit -n; ulimit -Hn'), '256\n256')
t.match(show({ maxFd: 1 << 30 }, 'true'), /^limit 7[17] cannot set: max-fd=1073741824: /)
