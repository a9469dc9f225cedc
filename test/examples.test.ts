/** Examples are documents that run: each asserts its own result and ends by itself. */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { WAIT_MILLISECONDS } from './support/serve.ts'

const sources = fileURLToPath(new URL('../../examples', import.meta.url))
const examples = readdirSync(sources).filter(name => name.endsWith('.ts'))

test('there are examples', t => {
  t.true(examples.includes('embed.ts'))
})

for (const name of examples) {
  test(`examples/${name}`, t => {
    const path = fileURLToPath(new URL(`../examples/${name.replace('.ts', '.js')}`, import.meta.url))
    const { status, signal, stderr } = spawnSync(process.execPath, [path], {
      timeout: WAIT_MILLISECONDS,
      encoding: 'utf8',
    })
    t.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: '' })
  })
}
