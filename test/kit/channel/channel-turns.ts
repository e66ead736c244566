/** `kit/channel/channel-turns.ts`: many channels at once do not add up in one turn of the loop, and none is passed over. */

import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import t from 'tap'
import { Channel } from '../../../kit/channel/channel.js'
import { ChannelTurns } from '../../../kit/channel/channel-turns.js'

/** Gives all at once, paused or not, as a stream does with what it has read already. */
class FakeSocket extends EventEmitter {
  isPaused = false
  destroy(): void {}
  pause(): void {
    this.isPaused = true
  }
  resume(): void {
    this.isPaused = false
  }
}

const endsOf = (socket: FakeSocket) => {
  const end = socket as unknown as Socket
  return { from: end, to: end }
}

const frameOf = (bytes: number) => {
  const head = Buffer.alloc(4)
  head.writeUInt32LE(bytes)
  return Buffer.concat([head, Buffer.from(`"${'x'.repeat(bytes - 2)}"`)])
}

const KB = 1024
const talks: [title: string, channels: number, messages: number, bytes: number, mostPerTurn: number][] = [
  ['long messages, one a turn', 8, 2, 1024 * KB, 1],
  ['messages of a quarter of the turn', 8, 5, 64 * KB, 4],
  ['one channel alone', 1, 20, 128 * KB, 2],
  ['the shortest messages', 32, 20, 22, 64],
  ['the shortest messages of one channel', 1, 600, 22, 64],
  ['short messages', 8, 20, 4 * KB, 32],
]
for (const [title, channels, messages, bytes, mostPerTurn] of talks) {
  t.test(title, async t => {
    const turns = new ChannelTurns()
    let turn = 0
    const told: { channel: number; turn: number }[] = []
    const count = () => {
      turn += 1
      if (told.length < channels * messages) setImmediate(count)
    }
    // In front of what the channels have done in a turn, now and in each that follows.
    setImmediate(count)
    const over = new Promise<void>(resolve => {
      for (let channel = 0; channel < channels; channel++) {
        const socket = new FakeSocket()
        new Channel(endsOf(socket), {
          mostBytes: 2048 * KB,
          turns,
          message: () => {
            told.push({ channel, turn })
            if (told.length === channels * messages) resolve()
            return true
          },
          closed: why => t.fail(String(why)),
        })
        socket.emit('data', Buffer.concat(Array(messages).fill(frameOf(bytes))))
        // Nothing that comes while it waits is lost, or read before its time.
        t.equal(socket.isPaused, told.length < (channel + 1) * messages)
      }
    })
    await over
    for (let at = 0; at <= turn; at++) {
      const inTurn = told.filter(one => one.turn === at).length
      t.ok(inTurn <= mostPerTurn, `${inTurn} messages in turn ${at}`)
    }
    // The first turn is the first channel's until it is used up.
    const counts = Array(channels).fill(0)
    for (const { channel } of told.slice(mostPerTurn)) {
      counts[channel] += 1
      const waiting = counts.filter((count, at) => count < messages - (at === 0 ? mostPerTurn : 0))
      t.ok(counts[channel] - Math.min(...waiting, counts[channel]) <= mostPerTurn, 'each has its turn')
    }
  })
}

t.test('a line that ends while it waits is nobody’s turn', async t => {
  const turns = new ChannelTurns()
  const open = () => {
    const socket = new FakeSocket()
    const texts: unknown[] = []
    const message = (text: unknown) => texts.push(text) > 0
    const channel = new Channel(endsOf(socket), { mostBytes: 1024 * KB, turns, message, closed: () => {} })
    return { socket, texts, channel }
  }
  const lines = [open(), open(), open()]
  for (const { socket } of lines) socket.emit('data', frameOf(512 * KB))
  lines[1]!.channel.destroy()
  for (let turn = 0; turn < 4; turn++) await new Promise<void>(next => void setImmediate(next))
  t.same(
    lines.map(({ texts }) => texts.length),
    [1, 0, 1],
  )
})
