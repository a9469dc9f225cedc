/** How time and memory grow: with the size of a zone, the number of zones, the size of a change, the number of workers.
 *  `npm run bench -- growth --names 1000000 --plots docs` draws each as a chart. By hand: it takes as long as its largest
 *  zone. One round a point; a curve says more than a point of it. */
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { createNameserver } from '../server/index.ts'
import type { ZoneFile } from '../test/support/peers.ts'
import { queryLoad } from './dnsperf.ts'
import { apiRecords } from './edit.ts'
import { median } from './measure.ts'
import { type Axis, chart } from './plot.ts'
import { OURS, type Result } from './report.ts'
import { smallZones, startFigures } from './start.ts'
import {
  contenders,
  isThere,
  signedFile,
  unsignedFile,
  Values,
  type Workbench,
  withServers,
} from './workbench.ts'
import { benchZone } from './zones.ts'

/** Values of all contenders over one quantity that grows. */
interface Curve {
  readonly file: string
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly points: ReadonlyMap<number, Values>
}

export async function benchGrowth(bench: Workbench): Promise<Result[]> {
  const curves = [
    ...(await zoneSizes(bench)),
    ...(await zoneCounts(bench)),
    await changeSizes(bench),
    ...(await workerCounts(bench)),
  ]
  if (bench.plots !== undefined) for (const curve of curves) drawCurve(bench.plots, curve)
  return curves.flatMap(resultsOf)
}

/** 1, 3, 10, 30 … times the first, as far as is asked, and the last itself; that alone in short. */
function stepsUpTo({ short }: Workbench, first: number, last: number): number[] {
  if (short) return [last]
  const steps: number[] = []
  for (let power = first; power < last; power *= 10) {
    for (const factor of [1, 3]) if (power * factor < last) steps.push(power * factor)
  }
  return [...steps, last]
}

class Points {
  readonly all = new Map<number, Values>()

  add(at: number, contender: string, value: number): void {
    let values = this.all.get(at)
    if (values === undefined) {
      values = new Values()
      this.all.set(at, values)
    }
    values.add(contender, value)
  }
}

const ZONE_NAMES_LEAST = 1000

async function zoneSizes(bench: Workbench): Promise<Curve[]> {
  const steps = stepsUpTo(bench, ZONE_NAMES_LEAST, bench.names)
  const { cpu, memory } = await starts(bench, steps, names => [unsignedFile(bench, 'mixed', names)])
  const x: Axis = { label: 'names of the zone', scale: 'log' }
  return [
    { file: 'growth-load', title: 'CPU time until a zone is answered', x, y: cpuAxis, points: cpu.all },
    {
      file: 'growth-memory',
      title: 'Memory of a server with one zone',
      x,
      y: memoryAxis,
      points: memory.all,
    },
  ]
}

/** A zone of 11 records for so many names of the largest zone. */
const NAMES_A_ZONE = 50
const ZONES_MOST = 20_000

async function zoneCounts(bench: Workbench): Promise<Curve[]> {
  const steps = stepsUpTo(bench, 1, Math.min(ZONES_MOST, Math.ceil(bench.names / NAMES_A_ZONE)))
  const { cpu, memory } = await starts(bench, steps, smallZones)
  const x: Axis = { label: 'zones of 11 records', scale: 'log' }
  const title = 'CPU time until all zones are answered'
  return [
    { file: 'growth-zones', title, x, y: cpuAxis, points: cpu.all },
    {
      file: 'growth-zones-memory',
      title: 'Memory of a server with many zones',
      x,
      y: memoryAxis,
      points: memory.all,
    },
  ]
}

const cpuAxis: Axis = { label: 's', scale: 'log' }
const memoryAxis: Axis = { label: 'MB', scale: 'log' }

/** Each contender started once with what each step asks for. */
async function starts(
  bench: Workbench,
  steps: readonly number[],
  zonesOf: (step: number) => readonly ZoneFile[],
): Promise<{ readonly cpu: Points; readonly memory: Points }> {
  const [cpu, memory] = [new Points(), new Points()]
  for (const step of steps) {
    const zones = zonesOf(step)
    for (const contender of contenders(bench)) {
      bench.tell(`${contender.name} starts: ${step}`)
      const figures = await startFigures(bench, contender, zones)
      cpu.add(step, contender.name, figures.cpuSeconds)
      memory.add(step, contender.name, figures.settledOctets / 1e6)
    }
  }
  return { cpu, memory }
}

const CHANGED_MOST = 10_000
const CHANGES = 3

/** Changes of a program's zone, from the call until they are signed and published. */
async function changeSizes(bench: Workbench): Promise<Curve> {
  const points = new Points()
  const names = Math.min(bench.names, 100_000)
  const zone = benchZone(names, 'hosts')
  const server = await createNameserver({ signing: { gate: 'keys', zonemd: 'none' } })
  try {
    bench.tell(`changes of a zone of ${names} names`)
    const program = await server.addZone(zone.apex, apiRecords(zone))
    for (const changed of stepsUpTo(bench, 1, Math.min(CHANGED_MOST, names))) {
      for (let run = 0; run < CHANGES; run++) {
        const add = Array.from({ length: changed }, (_, index) => ({
          name: `grown${index}`,
          type: 'A',
          data: `192.0.${run}.${changed % 256}`,
        }))
        const before = performance.now()
        await program.change({ add })
        points.add(changed, OURS, performance.now() - before)
      }
    }
  } finally {
    await server.close()
  }
  return {
    file: 'growth-change',
    title: `A change of a signed zone of ${names.toLocaleString('en')} names: signed and published`,
    x: { label: 'records added', scale: 'log' },
    y: { label: 'ms', scale: 'log' },
    points: points.all,
  }
}

const WORKERS_BEYOND_CORES = 2

async function workerCounts(bench: Workbench): Promise<Curve[]> {
  if (!isThere(bench, 'dnsperf')) return []
  const [rate, cpu] = [new Points(), new Points()]
  const zone = signedFile(bench, 'nsec', Math.min(bench.names, 100_000))
  const load = { queriesPath: zone.queriesPath, mode: 'udp', outstanding: 4000, clients: 40 } as const
  for (let threads = 1; threads <= availableParallelism() + WORKERS_BEYOND_CORES; threads++) {
    await withServers(contenders(bench), [zone], { threads }, async servers => {
      for (const [name, server] of servers) {
        // Code is compiled, and answers are kept, in the first seconds.
        if (!bench.short) await queryLoad(server, { ...load, seconds: bench.seconds })
        const figures = await queryLoad(server, { ...load, seconds: bench.seconds })
        if (figures.completed === 0) continue
        rate.add(threads, name, figures.perSecond)
        cpu.add(threads, name, (figures.cpuSeconds * 1e6) / figures.completed)
      }
    })
  }
  const x: Axis = { label: 'threads that answer', scale: 'linear' }
  return [
    {
      file: 'growth-workers',
      title: `UDP queries a second, ${availableParallelism()} cores`,
      x,
      y: { label: '1/s', scale: 'linear' },
      points: rate.all,
    },
    {
      file: 'growth-workers-cpu',
      title: 'CPU time of a UDP query',
      x,
      y: { label: 'µs', scale: 'linear' },
      points: cpu.all,
    },
  ]
}

function resultsOf({ title, x, y, points }: Curve): Result[] {
  return [...points].map(([at, { all }]) => ({
    quantity: `${title}: ${at.toLocaleString('en')} ${x.label}`,
    unit: y.label,
    values: all,
  }))
}

function drawCurve(directory: string, { file, title, x, y, points }: Curve): void {
  const names = [...new Set([...points.values()].flatMap(({ all }) => Object.keys(all)))]
  const series = names.map(name => ({ name, points: pointsOf(name, points) }))
  const drawn = series.filter(one => one.points.length > 0)
  writeFileSync(join(directory, `${file}.svg`), chart({ title, x, y, series: drawn }))
}

/** Without what is too little to be measured. */
function pointsOf(name: string, points: Curve['points']): [number, number][] {
  const all = [...points].map(([at, values]): [number, number] => [at, median(values.all[name] ?? [0])])
  return all.filter(([, value]) => value > 0)
}
