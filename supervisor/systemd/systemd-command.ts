/**
 * `daimyo systemd INI [FOLDER]`: the units that fit this INI, on standard output or as files in a folder. Must stay
 * true: no secret leaves the INI: options on the command line go along, but a secret one is refused.
 */

import { rmSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { optionNamed, rowOf } from '../../kit/options/options.js'
import { looksSecret } from '../../kit/options/words/secret-names.js'
import { inspectorArguments } from '../../kit/process/uninvited-inspector.js'
import type { CommandContext } from '../command/command-context.js'
import type { ConfigArguments } from '../command/command-line.js'
import { readOrRefuse } from '../command/read-or-refuse.js'
import { fileNamed } from '../config/ini/ini-reader.js'
import { readSettings } from '../config/read-settings.js'
import type { Reading, Settings } from '../config/values/settings.js'
import { lastingProgram } from '../host/version.js'
import { onGuardedPath } from '../user/guarded-path.js'
import { serviceUnit, socketUnit } from './service-unit.js'
import { type UnitSource, unitFacts } from './unit-facts.js'

/** `script`: the entry file of the program. `folder` null: print. */
export interface SystemdOptions {
  line: ConfigArguments
  script: string
  folder: string | null
}

/**
 * Prints or writes the units; Failures: `config` (78), `usage` (64) for a secret on the command line, `write` (77, 71).
 */
export function systemdCommand({ line, script, folder }: SystemdOptions, context: CommandContext): number {
  const flags = line.flags.map(printFlag)
  const reading = readAs(line, context.cwd, context.environment)
  const settings = readOrRefuse(reading, 'cannot print units', context)
  const { service, sockets } = unitFacts(sourceOf({ line, flags, script, reading, settings }, context))
  const units = [
    { file: service.file, text: serviceUnit(service.facts) },
    ...sockets.map(({ file, facts }) => ({ file, text: socketUnit(facts) })),
  ]
  for (const { file, text } of units) {
    if (folder === null) context.print(`# /etc/systemd/system/${file}\n${text}\n`)
    else write(join(folder, file), text, context)
  }
  return EXIT.ok
}

interface Read {
  line: ConfigArguments
  flags: string[]
  script: string
  reading: Reading
  settings: Settings
}

function sourceOf({ line, flags, script, reading, settings }: Read, context: CommandContext): UnitSource {
  const configured = (name: string): string | null => {
    const found = reading.values?.find(value => value.name === name && value.place !== 'default')
    return found?.text ?? null
  }
  const { iniPath } = line
  if (iniPath === null) throw new Failure('usage', 'systemd: received no INI: accepted the path of one', EXIT.usage)
  const file = fileNamed(iniPath, context.cwd)
  // The unit sets the folder of the start itself.
  const elsewhere = (cwd: string, environment: CommandContext['environment']) =>
    JSON.stringify({ ...readAs({ ...line, iniPath: namedFully(file) }, cwd, environment).settings, startFolder: '' })
  const here = elsewhere(context.cwd, context.environment)
  return {
    settings,
    ini: namedFully(file),
    program: [process.execPath, ...inspectorArguments([], {}), lastingProgram(script)],
    flags,
    uid: configured('uid'),
    gid: configured('gid'),
    socketOwner: configured('chown-socket'),
    caller: userInfo().username,
    runDir: configured('run-dir') === null ? null : settings.runDir,
    dependsOn: {
      folder: elsewhere('/', context.environment) === here ? null : context.cwd,
      environment: elsewhere(context.cwd, {}) !== here,
    },
  }
}

function namedFully({ absolute, section }: ReturnType<typeof fileNamed>): string {
  return section === '' ? absolute : `${absolute}:${section}`
}

function readAs({ iniPath, flags }: ConfigArguments, cwd: string, environment: CommandContext['environment']): Reading {
  return readSettings({ iniPath, flags, environment, cwd, forUnits: true })
}

function printFlag({ name, value, place }: ConfigArguments['flags'][number]): string {
  const option = optionNamed(name)
  const isSecret =
    (option !== null && rowOf(option).secret === true) || looksSecret(name) || looksSecret(value.split('=')[0] ?? '')
  if (isSecret) {
    throw new Failure(
      'usage',
      `systemd: received ${place}, which may be a secret: accepted in the INI only`,
      EXIT.usage,
    )
  }
  return `--${name}=${value}`
}

function write(shown: string, text: string, context: CommandContext): void {
  const path = resolve(context.cwd, shown)
  try {
    onGuardedPath(dirname(path), 'content', 'unknown', () => {
      rmSync(path, { force: true })
      // A new file: nothing that another name or a link leads to is written.
      writeFileSync(path, text, { mode: 0o644, flag: 'wx' })
    })
  } catch (error) {
    const exitCode = codeOf(error) === 'EACCES' ? EXIT.permission : EXIT.os
    throw new Failure('write', `cannot write the unit: ${shown}: ${reasonOf(error)}`, exitCode, error)
  }
  context.print(`${shown}\n`)
}
