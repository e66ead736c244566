/** The descriptors of a process of its own, which has few and then none. */

import { execFileSync } from 'node:child_process'
import t from 'tap'

const module = new URL('../../../proxy/process/descriptors.js', import.meta.url).href

const program = `
import { openSync } from 'node:fs'
import { descriptorLimit, isOutOfDescriptors, lowestFreeDescriptor } from ${JSON.stringify(module)}
const said = [descriptorLimit()]
const free = lowestFreeDescriptor()
said.push(openSync('/dev/null', 'r') === free, lowestFreeDescriptor() > free)
let failure
while (failure === undefined) try { openSync('/dev/null', 'r') } catch (error) { failure = error }
said.push(isOutOfDescriptors(failure), lowestFreeDescriptor())
try { descriptorLimit() } catch (error) { said.push(isOutOfDescriptors(error)) }
process.stdout.write(said.join(), () => process.exit())
`

t.test('few descriptors, and none', async t => {
  const limited = ['--nofile=64:64', 'env', '-i', process.execPath, '--input-type=module', '--eval', program]
  t.equal(execFileSync('prlimit', limited, { encoding: 'utf8' }), '64,true,true,true,Infinity,true')
})
