/** Starting: from the process's first moment until it answers the SOA of every zone; one large zone, or many small. */
import type { ZoneFile } from '../test/support/peers.ts'
import { cpuSeconds, memoryOctets, peakMemoryOctets } from './measure.ts'
import type { Result } from './report.ts'
import { contenders, settle, signedFile, unsignedFile, Values, type Workbench } from './workbench.ts'
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
const NAMES_A_ZONE = 50

export async function benchZones(bench: Workbench): Promise<Result[]> {
  const count = Math.ceil(bench.names / NAMES_A_ZONE)
  const zones = smallZones(count)
  const [cpu, wall, memory] = [new Values(), new Values(), new Values()]
  const small = zones.slice(0, 1)
  for (let run = 0; run < bench.runs; run++) {
    for (const contender of contenders(bench)) {
      const base = await startFigures(bench, contender, small)
      const full = await startFigures(bench, contender, zones)
      cpu.add(contender.name, full.cpuSeconds)
      wall.add(contender.name, full.wallSeconds)
      memory.add(contender.name, (full.settledOctets - base.settledOctets) / (count - 1))
    }
  }
  const what = `${count.toLocaleString('en')} zones of 11 records`
  return [
    { quantity: `${what}: CPU until answering`, unit: 's', values: cpu.all, goal: 1 },
    { quantity: `${what}: wall until answering`, unit: 's', values: wall.all, goal: 1 },
    { quantity: `${what}: memory, a zone`, unit: 'octets', values: memory.all, goal: 1 },
  ]
}

/** Zones of 11 records. */
export function smallZones(count: number): ZoneFile[] {
  const { text } = benchZone(5, 'hosts')
  return Array.from({ length: count }, (_, index) => {
    const name = `zone${index}.test.`
    return { name, text: text.replace('$ORIGIN bench.test.', `$ORIGIN ${name}`) }
  })
}
