/** Whole commands, timed by the operating system's own account of the finished process and its children. */
import { spawnSync } from 'node:child_process'

export interface CommandFigures {
  readonly cpuSeconds: number
  readonly wallSeconds: number
  /** What it printed to standard output. */
  readonly output: string
}

/** Nothing that is measured here takes longer. */
const COMMAND_MILLISECONDS_MAX = 600_000

/** Runs a command to its end.
 *  @throws Error with its last words when it fails */
export function timeCommand(words: readonly string[], options: { cwd?: string } = {}): CommandFigures {
  // bash's `time` asks wait4 for the figures of the child and of the children it waited for.
  const script = 'TIMEFORMAT="figures %U %S %R"; time "$@"'
  const ended = spawnSync('bash', ['-c', script, 'bash', ...words], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    timeout: COMMAND_MILLISECONDS_MAX,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  const match = /^figures ([\d.]+) ([\d.]+) ([\d.]+)$/m.exec(ended.stderr)
  if (ended.status !== 0 || match === null) {
    throw new Error(`${words.join(' ')} failed: ${ended.stderr.slice(-2000)}`)
  }
  return {
    cpuSeconds: Number(match[1]) + Number(match[2]),
    wallSeconds: Number(match[3]),
    output: ended.stdout,
  }
}
