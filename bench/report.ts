/** Figures side by side: what each server needed, and the ratio of ours to the best of the others. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { table } from '../cli/output.ts'
import { machineText, median } from './measure.ts'

/** One quantity of one benchmark: for each contender the values of all its runs. Smaller is better unless said. */
export interface Result {
  readonly benchmark: string
  readonly quantity: string
  readonly unit: string
  readonly moreIsBetter?: boolean
  readonly values: Readonly<Record<string, readonly number[]>>
}

export const OURS = 'conclave'

/** Ours divided by the best peer's median; undefined without a peer. */
export function ratioToBest(result: Result): number | undefined {
  const peers = Object.entries(result.values).filter(
    ([name, values]) => !name.startsWith(OURS) && values.length > 0,
  )
  const ours = result.values[OURS]
  if (ours === undefined || peers.length === 0) return undefined
  const medians = peers.map(([, values]) => median(values))
  return median(ours) / (result.moreIsBetter === true ? Math.max(...medians) : Math.min(...medians))
}

function commitText(): string {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}

export function printResults(results: readonly Result[], json: boolean): void {
  if (json) {
    const rows = results.map(result => ({ ...result, ratio: ratioToBest(result) }))
    console.log(JSON.stringify({ machine: machineText(), commit: commitText(), results: rows }))
    return
  }
  console.log(`${machineText()}, commit ${commitText()}\n`)
  const names = [...new Set(results.flatMap(result => Object.keys(result.values)))]
  const rows = results.map(result => [
    `${result.benchmark}: ${result.quantity}, ${result.unit}`,
    ...names.map(name => figureText(result.values[name])),
    ratioToBest(result)?.toFixed(2) ?? '',
  ])
  console.log(table(['medians', ...names, 'ratio to best'], rows))
}

function figureText(values: readonly number[] | undefined): string {
  if (values === undefined || values.length === 0) return '—'
  const value = median(values)
  return value >= 1000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3)
}
