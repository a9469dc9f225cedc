/** Starting: from the process's first moment until it answers the SOA of every zone; one large zone, or many small. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { queryOf, readMessage } from '../test/support/message.ts'
import { fileOf, type Peer, type ZoneFile } from '../test/support/peers.ts'
import { cpuSeconds, memoryOctets, peakMemoryOctets } from './measure.ts'
import { OURS, type Result } from './report.ts'
import {
  contenders,
  settle,
  signedFile,
  startOurs,
  unsignedFile,
  Values,
  type Workbench,
} from './workbench.ts'
import { benchZone } from './zones.ts'

/** Until servers have given back what loading needed. */
const SETTLE_SECONDS = 2
const SETTLE_SECONDS_SHORT = 0.1

interface StartFigures {
  readonly cpuSeconds: number
  readonly wallSeconds: number
  readonly settledOctets: number
  readonly peakOctets: number
}

type Start = ReturnType<typeof contenders>[number]

export async function startFigures(
  bench: Workbench,
  { start }: Start,
  zones: readonly ZoneFile[],
): Promise<StartFigures> {
  const server = await start(zones)
  try {
    const spent = cpuSeconds(server.pid)
    await settle(bench.short ? SETTLE_SECONDS_SHORT : SETTLE_SECONDS)
    return {
      cpuSeconds: spent,
      wallSeconds: server.startSeconds,
      settledOctets: memoryOctets(server.pid),
      peakOctets: peakMemoryOctets(server.pid),
    }
  } finally {
    await server.stop()
  }
}

/** A zone file without signatures, served as it is. */
export async function benchLoad(bench: Workbench): Promise<Result[]> {
  const zone = unsignedFile(bench, 'mixed')
  const [cpu, wall] = [new Values(), new Values()]
  for (let run = 0; run < bench.runs; run++) {
    for (const contender of contenders(bench)) {
      const figures = await startFigures(bench, contender, [zone])
      cpu.add(contender.name, figures.cpuSeconds)
      wall.add(contender.name, figures.wallSeconds)
    }
  }
  const what = `${zone.records.toLocaleString('en')} records, unsigned`
  return [
    { quantity: `${what}: CPU until answering`, unit: 's', values: cpu.all, goal: 1 },
    { quantity: `${what}: wall until answering`, unit: 's', values: wall.all },
  ]
}

/** What a record takes beyond what the server takes with six of them. One run: memory hardly varies. */
export async function benchMemory(bench: Workbench): Promise<Result[]> {
  const small = unsignedFile(bench, 'mixed', 0)
  const results: Result[] = []
  for (const zone of [unsignedFile(bench, 'mixed'), signedFile(bench, 'nsec')]) {
    const [settled, peak] = [new Values(), new Values()]
    for (const contender of contenders(bench)) {
      const base = await startFigures(bench, contender, [small])
      const full = await startFigures(bench, contender, [zone])
      settled.add(contender.name, (full.settledOctets - base.settledOctets) / zone.records)
      peak.add(contender.name, (full.peakOctets - base.peakOctets) / zone.records)
    }
    const what = `${zone.records.toLocaleString('en')} records`
    results.push(
      { quantity: `${what}: settled, a record`, unit: 'octets', values: settled.all, goal: 0.5 },
      { quantity: `${what}: peak of loading, a record`, unit: 'octets', values: peak.all, goal: 0.5 },
    )
  }
  return results
}

/** One small zone for this many names of the large one. */
const NAMES_A_ZONE = 10

export async function benchZones(bench: Workbench): Promise<Result[]> {
  const count = Math.ceil(bench.names / NAMES_A_ZONE)
  const zones = smallZones(count)
  const [cpu, wall, memory] = [new Values(), new Values(), new Values()]
  const [alone, among] = [new Values(), new Values()]
  const small = zones.slice(0, 1)
  for (let run = 0; run < bench.runs; run++) {
    for (const contender of contenders(bench)) {
      const base = await startFigures(bench, contender, small)
      const full = await startFigures(bench, contender, zones)
      cpu.add(contender.name, full.cpuSeconds)
      wall.add(contender.name, full.wallSeconds)
      memory.add(contender.name, (full.settledOctets - base.settledOctets) / (count - 1))
    }
    alone.add(OURS, await editMilliseconds(bench, small))
    among.add(OURS, await editMilliseconds(bench, zones))
  }
  const what = `${count.toLocaleString('en')} zones of 11 records`
  return [
    { quantity: `${what}: CPU until answering`, unit: 's', values: cpu.all, goal: 1 },
    { quantity: `${what}: wall until answering`, unit: 's', values: wall.all, goal: 1 },
    { quantity: `${what}: memory, a zone`, unit: 'octets', values: memory.all, goal: 1 },
    { quantity: 'an edit of one, alone: CPU', unit: 'ms', values: alone.all },
    { quantity: `an edit of one among ${count.toLocaleString('en')}: CPU`, unit: 'ms', values: among.all },
  ]
}

/** The clock of processes has 10 ms: one edit is too short for it. */
const EDITS = 20

/** CPU of ours for an edit of the first of these zones, from the rename until it is answered. */
async function editMilliseconds(bench: Workbench, zones: readonly SmallZone[]): Promise<number> {
  const server = await startOurs(zones)
  try {
    const { name, text } = zones[0]!
    const path = join(server.directory, fileOf(name))
    await settle(bench.short ? SETTLE_SECONDS_SHORT : SETTLE_SECONDS)
    const before = cpuSeconds(server.pid)
    for (let edit = 1; edit <= EDITS; edit++) {
      const address = `198.51.100.${edit}`
      writeFileSync(`${path}.new`, text.replace('ns2 A 192.0.2.2', `ns2 A ${address}`))
      renameSync(`${path}.new`, path)
      await untilAnswered(server, `ns2.${name}`, address)
    }
    return ((cpuSeconds(server.pid) - before) * 1000) / EDITS
  } finally {
    await server.stop()
  }
}

const ANSWER_SECONDS_MAX = 60
const POLL_MILLISECONDS = 5

async function untilAnswered(server: Peer, name: string, address: string): Promise<void> {
  const deadline = performance.now() + ANSWER_SECONDS_MAX * 1000
  while (performance.now() < deadline) {
    const { answer } = readMessage(await server.ask(queryOf(name, 'A')))
    if (answer.some(record => record.endsWith(` ${address}`))) return
    await settle(POLL_MILLISECONDS / 1000)
  }
  throw new Error(`${name} does not get the address ${address}`)
}

interface SmallZone {
  readonly name: string
  readonly text: string
}

/** Zones of 11 records. */
export function smallZones(count: number): SmallZone[] {
  const { text } = benchZone(5, 'hosts')
  return Array.from({ length: count }, (_, index) => {
    const name = `zone${index}.test.`
    return { name, text: text.replace('$ORIGIN bench.test.', `$ORIGIN ${name}`) }
  })
}
