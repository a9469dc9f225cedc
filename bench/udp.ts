/** UDP queries on a signed zone with DO set: a quarter each positive, NXDOMAIN, referral, wildcard. */
import { type LoadFigures, queryLoad } from './dnsperf.ts'
import type { Result } from './report.ts'
import { contenders, isThere, signedFile, Values, type Workbench, withServers } from './workbench.ts'

interface Scene {
  readonly denial: 'nsec' | 'nsec3'
  readonly workers: number
  readonly outstanding: number
  readonly clients: number
  readonly goal: number
}

/** Before a scene is measured, for each thread: ours compile and fill their answers meanwhile. */
const WARM_SECONDS = 2

const SCENES: readonly (readonly Scene[])[] = [
  [
    { denial: 'nsec', workers: 1, outstanding: 4000, clients: 40, goal: 0.8 },
    { denial: 'nsec', workers: 1, outstanding: 20, clients: 4, goal: 1 },
  ],
  [
    { denial: 'nsec3', workers: 1, outstanding: 4000, clients: 40, goal: 0.8 },
    { denial: 'nsec3', workers: 1, outstanding: 20, clients: 4, goal: 1 },
  ],
  [{ denial: 'nsec', workers: 2, outstanding: 4000, clients: 40, goal: 0.8 }],
]

export async function benchUdp(bench: Workbench): Promise<Result[]> {
  if (!isThere(bench, 'dnsperf')) return []
  const results: Result[] = []
  for (const scenes of SCENES) {
    const { denial, workers } = scenes[0]!
    const zone = signedFile(bench, denial)
    await withServers(contenders(bench), [zone], { threads: workers }, async servers => {
      for (const { outstanding, clients, goal } of scenes) {
        const load = { queriesPath: zone.queriesPath, mode: 'udp', outstanding, clients } as const
        const [cpu, rate, lost] = [new Values(), new Values(), new Values()]
        // The first round of each warms it up.
        for (let run = bench.short ? 1 : 0; run <= bench.runs; run++) {
          for (const [name, server] of servers) {
            const figures = await queryLoad(server, {
              ...load,
              seconds: run === 0 ? WARM_SECONDS * workers : bench.seconds,
            })
            if (run === 0) continue
            cpu.add(name, cpuMicroseconds(figures))
            rate.add(name, figures.perSecond)
            lost.add(name, figures.lost)
          }
        }
        const scene = `${denial}, ${workers} worker${workers > 1 ? 's' : ''}, ${outstanding} outstanding`
        results.push(
          { quantity: `${scene}: CPU a query`, unit: 'µs', values: cpu.all, goal },
          { quantity: `${scene}: throughput`, unit: '1/s', values: rate.all, goal: 1, moreIsBetter: true },
          { quantity: `${scene}: queries lost`, unit: '', values: lost.all },
        )
      }
    })
  }
  return results
}

function cpuMicroseconds({ cpuSeconds, completed }: LoadFigures): number {
  return (cpuSeconds * 1e6) / completed
}
