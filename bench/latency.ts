/** Latency of UDP answers at half of what the server can do: while nothing else happens, while a large zone file is read again
 *  and again, and while all of it is signed anew. One answering thread; the sender has the other of two processors, and
 *  reading and signing share both with them.
 *  I1  Changes follow one another without a pause, and the last one is waited for, so none reaches into the next quiet time. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileOf, type Peer } from '../test/support/peers.ts'
import { type LoadFigures, queryLoad } from './dnsperf.ts'
import { untilSigned } from './edit.ts'
import { OURS, type Result } from './report.ts'
import { isThere, settle, startOurs, unsignedFile, Values, type Workbench } from './workbench.ts'
import { type BenchZone, benchZone } from './zones.ts'

const GOAL = 1.5
const CLIENTS = 10
/** In place of what the server can do, where no time is spent on finding out. */
const SHORT_PER_SECOND = 2000
const CAPACITY_SECONDS = 1
const QUIET_SECONDS = 1
const PERCENT = [50, 99] as const

/** What changes the zone file: the text of the change of that number. */
type Change = (zone: BenchZone, number: number) => string

const addressOf = (number: number): string => `198.51.${100 + (number >> 8)}.${number & 255}`

/** One address: the file is read and compared whole, and a handful of RRsets signed. */
const oneRecord: Change = ({ text }, number) => text.replace('ns2 A 192.0.2.2', `ns2 A ${addressOf(number)}`)

/** Every TTL, so every signature (RFC 4034 §3.1.8.1 has the TTL in what is signed). */
const allRecords: Change = (zone, number) =>
  oneRecord(zone, number).replace('$TTL 3600', `$TTL ${3600 + number}`)

const SCENES: readonly (readonly [name: string, change: Change])[] = [
  ['reloads', oneRecord],
  ['signing', allRecords],
]

export async function benchLatency(bench: Workbench): Promise<Result[]> {
  if (!isThere(bench, 'dnsperf')) return []
  const zone = benchZone(bench.names)
  const { queriesPath } = unsignedFile(bench, 'mixed')
  bench.tell(`signing ${zone.records} records first`)
  const server = await startOurs([{ name: zone.apex, text: zone.text }], { signing: true })
  try {
    await untilSigned(server, 'ns2.bench.test.', '192.0.2.2')
    return await measure(bench, server, zone, queriesPath)
  } finally {
    await server.stop()
  }
}

async function measure(
  bench: Workbench,
  server: Peer,
  zone: BenchZone,
  queriesPath: string,
): Promise<Result[]> {
  const perSecond = bench.short ? SHORT_PER_SECOND : await halfCapacity(server, queriesPath)
  const load = (): Promise<LoadFigures> =>
    queryLoad(server, { ...steady(queriesPath), perSecond, seconds: bench.seconds })
  const results: Result[] = []
  let number = 0
  for (const [name, change] of SCENES) {
    const latency = PERCENT.map(() => new Values())
    const lost = new Values()
    const add = (contender: string, figures: LoadFigures): void => {
      for (const [index, percent] of PERCENT.entries())
        latency[index]!.add(contender, percentile(figures.latencies, percent))
      lost.add(contender, figures.lost)
    }
    for (let run = 0; run < bench.runs; run++) {
      await settle(bench.short ? 0 : QUIET_SECONDS)
      add('quiet', await load())
      const [figures, changes] = await whileChanging(server, zone, change, number, load)
      number += changes
      add(OURS, figures)
    }
    const scene = `${name}, ${perSecond.toLocaleString('en')} queries a second`
    for (const [index, percent] of PERCENT.entries()) {
      const goal = percent === 99 ? { goal: GOAL } : {}
      results.push({ quantity: `${scene}: p${percent}`, unit: 'ms', values: latency[index]!.all, ...goal })
    }
    results.push({ quantity: `${scene}: queries lost`, unit: '', values: lost.all })
  }
  return results
}

const steady = (queriesPath: string) =>
  ({ queriesPath, mode: 'udp', outstanding: 1000, clients: CLIENTS, latencies: true }) as const

async function halfCapacity(server: Peer, queriesPath: string): Promise<number> {
  const all = { queriesPath, mode: 'udp', outstanding: 1000, clients: CLIENTS } as const
  await queryLoad(server, { ...all, seconds: CAPACITY_SECONDS })
  const { perSecond } = await queryLoad(server, { ...all, seconds: CAPACITY_SECONDS })
  return Math.round(perSecond / 2)
}

/** Changes the file as soon as the change before is answered, as long as the load goes on; the load's figures, and the
 *  number of changes. */
async function whileChanging(
  server: Peer,
  zone: BenchZone,
  change: Change,
  before: number,
  load: () => Promise<LoadFigures>,
): Promise<[figures: LoadFigures, changes: number]> {
  const path = join(server.directory, fileOf(zone.apex))
  let over = false
  const figures = load().finally(() => {
    over = true
  })
  let changes = 0
  try {
    while (!over) {
      const number = before + ++changes
      writeFileSync(`${path}.new`, change(zone, number))
      renameSync(`${path}.new`, path)
      await untilSigned(server, 'ns2.bench.test.', addressOf(number))
    }
  } finally {
    await figures
  }
  return [await figures, changes]
}

function percentile(ascending: readonly number[], percent: number): number {
  if (ascending.length === 0) throw new Error('no query was answered')
  return ascending[Math.min(ascending.length - 1, Math.floor((ascending.length * percent) / 100))]!
}
