/** `npm run bench`: measures us beside real peers, all in turn in one run on one machine.
 *  `node dist/bench/main.js [BENCHMARK ...] [--json] [--short] [--names N] [--runs N] [--seconds N] [--plots DIR]`
 *  I1  Traffic goes to loopback only; every process that is started is ended; every wait is bounded.
 *  I2  A peer that is not installed is told of and left out; in continuous integration it is a failure. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { bundle } from '../bundle.ts'
import { benchAxfr } from './axfr.ts'
import { benchDigest } from './digest.ts'
import { benchApiEdit, benchEdit } from './edit.ts'
import { benchGrowth } from './growth.ts'
import { benchHsm } from './hsm.ts'
import { benchHsmFaults } from './hsm-faults.ts'
import { benchLatency } from './latency.ts'
import { type BenchmarkResults, type Result, resultsText, surroundings, surroundingsText } from './report.ts'
import { benchSign } from './sign.ts'
import { benchSignatures } from './signatures.ts'
import { benchSoak } from './soak.ts'
import { benchLoad, benchMemory, benchZones } from './start.ts'
import { benchTcp } from './tcp.ts'
import { benchUdp } from './udp.ts'
import { runBefore, type Workbench } from './workbench.ts'

const BENCHMARKS: Readonly<Record<string, (bench: Workbench) => Promise<Result[]>>> = {
  udp: benchUdp,
  latency: benchLatency,
  tcp: benchTcp,
  axfr: benchAxfr,
  load: benchLoad,
  memory: benchMemory,
  zones: benchZones,
  sign: benchSign,
  digest: benchDigest,
  signatures: benchSignatures,
  edit: benchEdit,
  'edit-api': benchApiEdit,
  hsm: benchHsm,
  'hsm-faults': benchHsmFaults,
  growth: benchGrowth,
  soak: benchSoak,
}

/** Run only when they are named, or in short. */
const BY_HAND: readonly string[] = ['edit-api', 'growth', 'hsm-faults', 'soak']

const SHORT_SECONDS = 0.3

interface Words {
  readonly names: readonly string[]
  readonly json: boolean
  readonly bench: Omit<Workbench, 'directory' | 'tell'>
}

function readWords(words: readonly string[]): Words {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      short: { type: 'boolean', default: false },
      names: { type: 'string' },
      runs: { type: 'string' },
      seconds: { type: 'string' },
      plots: { type: 'string' },
    },
  })
  for (const name of positionals) {
    if (BENCHMARKS[name] === undefined)
      throw new Error(`no benchmark ${name}; there are ${Object.keys(BENCHMARKS).join(', ')}`)
  }
  const { short } = values
  return {
    names:
      positionals.length > 0
        ? positionals
        : Object.keys(BENCHMARKS).filter(name => short || !BY_HAND.includes(name)),
    json: values.json,
    bench: {
      short,
      names: positive(values.names, short ? 1000 : 100_000),
      runs: positive(values.runs, short ? 1 : 3),
      plots: values.plots,
      seconds: short ? SHORT_SECONDS : positive(values.seconds, 3),
    },
  }
}

function positive(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`${text} is no number from 1`)
  return Number(text)
}

async function main(): Promise<void> {
  const { names, json, bench } = readWords(process.argv.slice(2))
  // Certificates that an environment has every Node.js read at its start would be some 40 ms of ours.
  delete process.env['NODE_EXTRA_CA_CERTS']
  await bundle('bundle')
  if (bench.plots !== undefined) mkdirSync(bench.plots, { recursive: true })
  const directory = mkdtempSync(join(tmpdir(), 'conclave-bench-'))
  const around = surroundings()
  if (!json) console.log(`${surroundingsText(around)}\n`)
  const all: BenchmarkResults[] = []
  try {
    if (!bench.short) await runBefore({ ...bench, directory, tell: console.error })
    for (const benchmark of names) {
      const tell = (text: string): void => console.error(`${benchmark}: ${text}`)
      const results = await BENCHMARKS[benchmark]!({ ...bench, directory, tell })
      all.push({ benchmark, results })
      if (!json) console.log(`${resultsText({ benchmark, results })}\n`)
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
  if (json) console.log(JSON.stringify({ ...around, ...bench, benchmarks: all }))
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
