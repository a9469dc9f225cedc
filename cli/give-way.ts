/** Answering comes first where processors are few: what makes versions has a low priority (docs/benchmarks.md, Latency). What
 *  helps V8 to collect and to compile has it for ever, and the main thread while it makes versions: it reads queries over
 *  TCP, too, so it takes its own priority back, and where it might not, it keeps it.
 *  A command's affair, since it concerns the whole process; programs that embed a nameserver do as they like. */
import { giveWayMeanwhile, ordinaryPriority, othersGiveWay, takePriority } from '../base/index.ts'
import type { Nameserver } from '../server/index.ts'

/** To be called before any thread answers, and not earlier: a start has nobody to give way to. What is returned has the main
 *  thread give way from now on, whenever versions are made: to be called when the process has the user that it stays with. */
export function helpersGiveWay(): (server: Nameserver) => void {
  const [helper] = othersGiveWay()
  return server => {
    if (helper === undefined) return
    server.on('working', working => (working ? giveWayMeanwhile(helper) : takePriority(ordinaryPriority)))
  }
}
