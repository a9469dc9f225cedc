/** A soak: one server under mixed load for as long as is asked (`npm run bench -- soak --seconds 3600`), by hand, not for
 *  comparison. Queries over UDP and TCP, edits of files, reloads of the configuration, transfers that dnssec-verify
 *  judges, signatures that are made anew every few minutes, and rolls of ZSKs, all at once.
 *  I1  Whatever goes wrong is counted, told at once, and makes the exit code 1.
 *  I2  The run ends by itself: every task looks at the same deadline, and each of its waits is bounded. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Peer, startServer, temporaryDirectory } from '../test/support/peers.ts'
import { freePort } from '../test/support/ports.ts'
import { chart } from './plot.ts'
import { OURS, type Result } from './report.ts'
import { editFiles, queries, reloads, sample, transfers } from './soak-tasks.ts'
import { CONCLAVE_COMMAND, isThere, type Workbench } from './workbench.ts'
import { type BenchZone, benchZone } from './zones.ts'

/** What happened so far, by all tasks. */
export interface SoakRecord {
  readonly deadline: number
  readonly errors: string[]
  answered: number
  lost: number
  /** Answers that are neither NOERROR nor NXDOMAIN. */
  failed: number
  readonly editMilliseconds: number[]
  transfers: number
  verified: number
  reloads: number
  readonly samples: SoakSample[]
}

export interface SoakSample {
  readonly seconds: number
  readonly memoryOctets: number
  /** Of these, what belongs to no file. */
  readonly anonymousOctets: number
  readonly descriptors: number
  readonly cpuSeconds: number
}

export interface SoakScene {
  readonly server: Peer
  readonly large: BenchZone
  readonly small: readonly BenchZone[]
  /** Where the zone files are. */
  readonly zones: string
  readonly queriesPath: string
  readonly directory: string
}

const LARGE_NAMES = 10_000
const SMALL_ZONES = 100
const SHORT_LARGE_NAMES = 300
const SHORT_SMALL_ZONES = 5

export async function benchSoak(bench: Workbench): Promise<Result[]> {
  if (!isThere(bench, 'dnsperf') || !isThere(bench, 'dnssec-verify')) return []
  const scene = await startScene(bench)
  const began = performance.now()
  const record: SoakRecord = {
    deadline: began + bench.seconds * 1000,
    errors: [],
    answered: 0,
    lost: 0,
    failed: 0,
    editMilliseconds: [],
    transfers: 0,
    verified: 0,
    reloads: 0,
    samples: [],
  }
  const fail = (what: string): void => {
    record.errors.push(what)
    bench.tell(`after ${Math.round((performance.now() - began) / 1000)} s: ${what}`)
  }
  try {
    const tasks = [
      queries(scene, record, 'udp', fail),
      queries(scene, record, 'tcp', fail),
      editFiles(scene, record, fail),
      transfers(scene, record, fail),
      reloads(scene, record, fail),
      sample(scene, record, bench),
    ]
    await Promise.all(tasks)
  } finally {
    await scene.server.stop()
  }
  if (bench.plots !== undefined) drawSoak(bench.plots, record)
  if (record.errors.length > 0) process.exitCode = 1
  return soakResults(record)
}

async function startScene(bench: Workbench): Promise<SoakScene> {
  const large = shortLived(benchZone(bench.short ? SHORT_LARGE_NAMES : LARGE_NAMES))
  const small = Array.from({ length: bench.short ? SHORT_SMALL_ZONES : SMALL_ZONES }, (_, index) =>
    renamed(shortLived(benchZone(5, 'hosts', index + 2)), `zone${index}.test.`),
  )
  const directory = temporaryDirectory('soak', [])
  const zones = join(directory, 'zones')
  mkdirSync(zones)
  for (const { apex, text } of [large, ...small]) writeFileSync(join(zones, `${apex}zone`), text)
  const queriesPath = join(directory, 'queries')
  writeFileSync(queriesPath, large.queries)
  const port = await freePort()
  const configuration = join(directory, 'conclave.yaml')
  writeFileSync(configuration, configurationText(directory, port))
  const words = [...CONCLAVE_COMMAND, 'serve', '-c', configuration, '--json']
  const served = [large, ...small].map(({ apex, text }) => ({ name: apex, text }))
  const server = await startServer('Conclave', words, directory, port, served)
  return { server, large, small, zones, queriesPath, directory }
}

/** Everything that has a time has the shortest that is allowed, or a few minutes: an hour then has many of each. */
function configurationText(directory: string, port: number): string {
  const policy = [
    'keys: ksk-zsk, zsk-lifetime: 12m, purge-after: 5m, dnskey-ttl: 30',
    'signature-validity: 1h, refresh: 54m, jitter: 4m, inception-offset: 1m',
    'propagation: time, propagation-delay: 10s, publish-safety: 10s, retire-safety: 10s',
    'parent: { ds-confirmation: 30s, ds-ttl: 30, propagation-delay: 10s }',
  ].join(', ')
  return [
    `server: { state: ${join(directory, 'state')}, workers: 1 }`,
    `listen: ['127.0.0.1@${port}']`,
    'policies:',
    `  default: { ${policy} }`,
    `  hashed: { denial: nsec3, ${policy} }`,
    'zones:',
    '  - directory: zones',
    '  - { file: zones/bench.test.zone, policy: hashed }',
    '',
  ].join('\n')
}

/** Keys roll within minutes only where no cache keeps anything for longer. */
function shortLived(zone: BenchZone): BenchZone {
  const text = zone.text
    .replace('$TTL 3600', '$TTL 30')
    .replace(' 7200 3600 1209600 900', ' 7200 3600 1209600 30')
  return { ...zone, text }
}

function renamed(zone: BenchZone, apex: string): BenchZone {
  return { ...zone, apex, text: zone.text.replace(`$ORIGIN ${zone.apex}`, `$ORIGIN ${apex}`) }
}

function soakResults(record: SoakRecord): Result[] {
  const { samples, editMilliseconds } = record
  const row = (quantity: string, unit: string, ...values: number[]): Result => ({
    quantity,
    unit,
    values: { [OURS]: values },
  })
  const quarter = (number: number, of: 'memoryOctets' | 'anonymousOctets'): number[] => {
    const length = Math.max(1, Math.floor(samples.length / 4))
    return samples.slice((number - 1) * length, number * length).map(one => one[of] / 1e6)
  }
  return [
    row('run', 's', samples.at(-1)?.seconds ?? 0),
    row('errors', '', record.errors.length),
    row('queries answered', '', record.answered),
    row('queries lost', '', record.lost),
    row('answers neither NOERROR nor NXDOMAIN', '', record.failed),
    row('edits of files, each answered signed', '', editMilliseconds.length),
    row('from rename to answer, median', 'ms', ...editMilliseconds),
    row('from rename to answer, most', 'ms', Math.max(0, ...editMilliseconds)),
    row('zone transfers', '', record.transfers),
    row('of these accepted by dnssec-verify', '', record.verified),
    row('reloads of the configuration', '', record.reloads),
    row('memory, second quarter', 'MB', ...quarter(2, 'memoryOctets')),
    row('memory, last quarter', 'MB', ...quarter(4, 'memoryOctets')),
    row('of no file, second quarter', 'MB', ...quarter(2, 'anonymousOctets')),
    row('of no file, last quarter', 'MB', ...quarter(4, 'anonymousOctets')),
    row('open files at the end', '', samples.at(-1)?.descriptors ?? 0),
  ]
}

function drawSoak(directory: string, { samples }: SoakRecord): void {
  const minutes = (one: SoakSample): number => one.seconds / 60
  const svg = chart({
    title: 'Soak: memory under queries, edits, re-signing, rolls, reloads and transfers',
    x: { label: 'minutes', scale: 'linear' },
    y: { label: 'MB (Pss)', scale: 'linear' },
    series: [
      { name: OURS, points: samples.map(one => [minutes(one), one.memoryOctets / 1e6] as const) },
      { name: 'of no file', points: samples.map(one => [minutes(one), one.anonymousOctets / 1e6] as const) },
    ],
  })
  writeFileSync(join(directory, 'soak.svg'), svg)
}
