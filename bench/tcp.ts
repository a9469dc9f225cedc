/** Queries over TCP, pipelined (RFC 7766 §6.2.1.1), over few connections and many. */
import { queryLoad } from './dnsperf.ts'
import type { Result } from './report.ts'
import { contenders, isThere, signedFile, Values, type Workbench, withServers } from './workbench.ts'

const CONNECTIONS = [10, 200]
const OUTSTANDING = 1000

export async function benchTcp(bench: Workbench): Promise<Result[]> {
  if (!isThere(bench, 'dnsperf')) return []
  const zone = signedFile(bench, 'nsec')
  const results: Result[] = []
  await withServers(contenders(bench), [zone], {}, async servers => {
    for (const clients of CONNECTIONS) {
      const [perCpu, lost] = [new Values(), new Values()]
      const load = { queriesPath: zone.queriesPath, mode: 'tcp', outstanding: OUTSTANDING, clients } as const
      for (let run = bench.short ? 1 : 0; run <= bench.runs; run++) {
        for (const [name, server] of servers) {
          const figures = await queryLoad(server, { ...load, seconds: run === 0 ? 1 : bench.seconds })
          if (run === 0) continue
          perCpu.add(name, figures.completed / figures.cpuSeconds)
          lost.add(name, figures.lost)
        }
      }
      results.push(
        {
          quantity: `${clients} connections: queries a CPU second`,
          unit: '1/s',
          values: perCpu.all,
          moreIsBetter: true,
          goal: 0.8,
        },
        { quantity: `${clients} connections: queries lost`, unit: '', values: lost.all },
      )
    }
  })
  return results
}
