// Blocks its event loop in the ways that there are; the path says which. Loaded by another module, it offers the ways.
const { createServer } = require('node:http')
const { pbkdf2Sync } = require('node:crypto')
const { execSync } = require('node:child_process')

const LONG_MS = 60_000

function turn() {
  let turns = 0
  while (true) {
    turns = (turns + 1) % 1000
  }
}

async function turnLater() {
  await null
  turn()
}

function match() {
  return /^(a+)+$/.test(`${'a'.repeat(60)}b`)
}

function wait() {
  return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LONG_MS)
}

function sleep() {
  return execSync(`exec sleep ${LONG_MS / 1000}`)
}

function derive() {
  return pbkdf2Sync('secret', 'salt', 2_000_000_000, 64, 'sha512')
}

const ways = { turn, turnLater, match, wait, sleep, derive }
module.exports = ways

if (require.main === module) {
  createServer(async (request, response) => {
    const way = ways[request.url.slice(1).split('?')[0]]
    if (request.url === '/never') return
    await way?.('never shown')
    response.end(String(process.pid))
  }).listen(0)
}
