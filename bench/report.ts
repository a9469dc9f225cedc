/** Figures side by side: what each contender needed, and the ratio of ours to the best of the others. */
import { execFileSync, spawnSync } from 'node:child_process'
import { loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { table } from '../cli/output.ts'
import { toolPath } from '../test/support/tools.ts'
import { machineText, median } from './measure.ts'

/** One quantity of one benchmark: for each contender the values of all its runs. Smaller is better unless said. */
export interface Result {
  readonly quantity: string
  readonly unit: string
  readonly moreIsBetter?: boolean
  /** What the ratio to the best peer should be at most, or at least where more is better. */
  readonly goal?: number
  readonly values: Readonly<Record<string, readonly number[]>>
}

export interface BenchmarkResults {
  readonly benchmark: string
  readonly results: readonly Result[]
}

/** The contender that is this project. */
export const OURS = 'conclave'

/** Ours divided by the best peer's median; undefined without a peer, or where the best is nothing. */
export function ratioToBest(result: Result): number | undefined {
  const peers = Object.entries(result.values).filter(([name, values]) => name !== OURS && values.length > 0)
  const ours = result.values[OURS]
  if (ours === undefined || ours.length === 0 || peers.length === 0) return undefined
  const medians = peers.map(([, values]) => median(values))
  const best = result.moreIsBetter === true ? Math.max(...medians) : Math.min(...medians)
  return best <= 0 ? undefined : median(ours) / best
}

/** Where and of what the figures are. */
export interface Surroundings {
  readonly machine: string
  readonly commit: string
  /** Load averages of 1, 5 and 15 minutes: how busy the machine was with other things, too. */
  readonly load: readonly number[]
  readonly peers: Readonly<Record<string, string>>
}

const VERSION_WORDS: Readonly<Record<string, readonly string[]>> = {
  nsd: ['-v'],
  knotd: ['-V'],
  named: ['-v'],
  'ldns-signzone': ['-v'],
  'dnssec-signzone': ['-V'],
  dnsperf: ['-H'],
}

export function surroundings(): Surroundings {
  const peers: Record<string, string> = {}
  for (const [program, words] of Object.entries(VERSION_WORDS)) {
    const path = toolPath(program)
    if (path === undefined) continue
    const { stdout, stderr } = spawnSync(path, words, { encoding: 'utf8' })
    peers[program] = /\d+\.\d+[\w.~+-]*/.exec(stdout + stderr)?.[0] ?? 'unknown'
  }
  return { machine: machineText(), commit: commitText(), load: loadavg(), peers }
}

function commitText(): string {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], {
      cwd: root,
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim()
  } catch {
    return 'no commit'
  }
}

export function surroundingsText({ machine, commit, load, peers }: Surroundings): string {
  const versions = Object.entries(peers).map(([program, version]) => `${program} ${version}`)
  const busy = load.map(value => value.toFixed(1)).join(' ')
  return `${machine}, load ${busy}, commit ${commit}\n${versions.join(', ')}`
}

/** A table of medians: a row a quantity, a column a contender. */
export function resultsText({ benchmark, results }: BenchmarkResults): string {
  const names = [...new Set(results.flatMap(result => Object.keys(result.values)))]
  const rows = results.map(result => [
    result.unit === '' ? result.quantity : `${result.quantity}, ${result.unit}`,
    ...names.map(name => figureText(result.values[name])),
    ratioToBest(result)?.toFixed(2) ?? '',
    goalText(result),
  ])
  return table([benchmark, ...names, 'ratio', 'goal'], rows)
}

function goalText({ goal, moreIsBetter }: Result): string {
  if (goal === undefined) return ''
  return `${moreIsBetter === true ? '≥' : '≤'} ${goal.toFixed(1)}`
}

function figureText(values: readonly number[] | undefined): string {
  if (values === undefined || values.length === 0) return '—'
  const value = median(values)
  if (value === 0) return '0'
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3)
}
