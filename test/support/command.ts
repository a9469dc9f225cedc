/** A command line in the test's own process, which spares the start of another: two hundred milliseconds. */
import { runCommand } from '../../cli/program.ts'
import type { Ran } from './serve.ts'

/** Runs `conclave WORDS…` and catches what it prints. One at a time: tests that use it are serial. */
export async function inProcess(words: readonly string[]): Promise<Ran> {
  const said = { out: '', err: '' }
  const { stdout, stderr } = process
  const writers = { out: stdout.write, err: stderr.write }
  const taker = (to: 'out' | 'err') => (text: string | Uint8Array) => {
    said[to] += typeof text === 'string' ? text : Buffer.from(text).toString()
    return true
  }
  stdout.write = taker('out')
  stderr.write = taker('err')
  try {
    const code = await runCommand(words)
    return { code, ...said }
  } finally {
    stdout.write = writers.out
    stderr.write = writers.err
    process.exitCode = undefined
  }
}
