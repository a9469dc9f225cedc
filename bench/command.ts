/** Whole commands, timed by the operating system's own account of the finished process and its children. */
import { spawnSync } from 'node:child_process'

export interface CommandFigures {
  readonly cpuSeconds: number
  readonly wallSeconds: number
}

/** Runs a command to its end; what it prints is thrown away unless it fails.
 *  @throws Error with its last words when it fails */
export function timeCommand(words: readonly string[], options: { cwd?: string } = {}): CommandFigures {
  // bash's `time` asks wait4 for the figures of the child and of the children it waited for.
  const script = 'TIMEFORMAT="figures %U %S %R"; time "$@" >/dev/null'
  const ended = spawnSync('bash', ['-c', script, 'bash', ...words], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  const match = /^figures ([\d.]+) ([\d.]+) ([\d.]+)$/m.exec(ended.stderr)
  if (ended.status !== 0 || match === null) {
    throw new Error(`${words.join(' ')} failed: ${ended.stderr.slice(-2000)}`)
  }
  return { cpuSeconds: Number(match[1]) + Number(match[2]), wallSeconds: Number(match[3]) }
}
