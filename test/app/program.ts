/**
 * Starts a program of the repository for one test, asks it over HTTP, and ends it: used by the tests in `test/app/`.
 * Nothing waits longer than DEADLINE_MS.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { existsSync } from 'node:fs'
import { Agent, type IncomingHttpHeaders, type RequestOptions, request } from 'node:http'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

export const DEADLINE_MS = 20_000

/** The repository's top folder: the nearest one above this file that holds a package.json. */
export const topFolder = findTop(dirname(fileURLToPath(import.meta.url)))

export interface Program {
  child: ChildProcess
  /** The first match of `pattern` in what it has printed on standard output, now or later. */
  printed: (pattern: RegExp) => Promise<RegExpExecArray>
  /** The same on standard error. */
  complained: (pattern: RegExp) => Promise<RegExpExecArray>
  /** How it ended, once all that it printed has been read. */
  ended: Promise<{ code: number | null; signal: string | null }>
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  text: string
  /** The pieces in which the body came. */
  pieces: string[]
}

/** Runs `node` with `args` and only `env` as its environment, with an IPC channel; `teardown` of the test kills it. */
export function startProgram(
  t: { teardown(work: () => unknown): unknown },
  args: string[],
  env: Record<string, string> = {},
): Program {
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  const ended = new Promise<{ code: number | null; signal: string | null }>(resolve => {
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
  const deadline = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS)
  t.teardown(() => {
    clearTimeout(deadline)
    child.kill('SIGKILL')
    return ended
  })
  return { child, printed: textOf(child.stdout!), complained: textOf(child.stderr!), ended }
}

function textOf(stream: Readable): Program['printed'] {
  let text = ''
  const news = new EventEmitter()
  stream.setEncoding('utf8').on('data', piece => {
    text += piece
    news.emit('news')
  })
  stream.on('end', () => news.emit('news'))
  return async pattern => {
    for (;;) {
      const match = pattern.exec(text)
      if (match !== null) return match
      if (stream.readableEnded) throw new Error(`${pattern} was not printed: ${text}`)
      await once(news, 'news', { signal: AbortSignal.timeout(DEADLINE_MS) })
    }
  }
}

/**
 * Sends one request on a connection of its own and reads the whole answer. The connection is a keep-alive one and closed here:
 * Node ends a request with an empty write, which fails with EPIPE where a server has answered and closed a unix socket before it.
 */
export async function ask(options: RequestOptions & { body?: string | Buffer }): Promise<Answer> {
  const agent = new Agent({ keepAlive: true })
  try {
    return await askThrough(agent, options)
  } finally {
    agent.destroy()
  }
}

function askThrough(agent: Agent, options: RequestOptions & { body?: string | Buffer }): Promise<Answer> {
  const { body, ...target } = options
  return new Promise((resolve, reject) => {
    const sent = request({ agent, timeout: DEADLINE_MS, ...target })
    sent.on('timeout', () => sent.destroy(new Error(`no answer to ${options.method ?? 'GET'} ${options.path}`)))
    sent.on('error', reject)
    sent.on('response', response => {
      const pieces: string[] = []
      response.setEncoding('utf8')
      response.on('data', piece => pieces.push(piece))
      response.on('error', reject)
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: pieces.join(''), pieces })
      })
    })
    sent.end(body)
  })
}

function findTop(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder
  const parent = dirname(folder)
  if (parent === folder) throw new Error(`no package.json above ${fileURLToPath(import.meta.url)}`)
  return findTop(parent)
}
