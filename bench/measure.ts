/** What the operating system says of processes (proc(5)), and small statistics. Linux only. */
import { readdirSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/** USER_HZ, which proc(5) counts CPU time in, is 100 on Linux. */
const TICKS_PER_SECOND = 100

/** The process and all its descendants. */
export function processTree(pid: number): number[] {
  const children = new Map<number, number[]>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const parent = Number(statFields(Number(entry))?.[1] ?? 0)
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)])
  }
  const tree = [pid]
  for (let at = 0; at < tree.length; at++) tree.push(...(children.get(tree[at]!) ?? []))
  return tree
}

/** The file of a process; undefined when it has ended meanwhile. */
function processFile(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1')
  } catch {
    return undefined
  }
}

/** Fields of /proc/PID/stat from the state on (the command's name before it may contain anything). */
function statFields(pid: number): string[] | undefined {
  const text = processFile(pid, 'stat')
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')
}

/** CPU seconds, user and system, of a process tree so far, ended and waited-for children included. */
export function cpuSeconds(pid: number): number {
  let ticks = 0
  for (const one of processTree(pid)) {
    const fields = statFields(one)
    for (const at of [11, 12, 13, 14]) ticks += Number(fields?.[at] ?? 0)
  }
  return ticks / TICKS_PER_SECOND
}

/** Seconds so far in which threads of a process were ready to run and had no processor (schedstat). */
export function waitedSeconds(pid: number): number {
  let nanoseconds = 0
  for (const thread of processThreads(pid)) {
    nanoseconds += Number(processFile(pid, `task/${thread}/schedstat`)?.split(' ')[1] ?? 0)
  }
  return nanoseconds / 1e9
}

function processThreads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

/** Shares of the processors' time, 0 to 1, that this process and what it started had no part in. */
export interface Disturbance {
  /** Had by programs that it has not started. */
  readonly others: number
  /** Had by others of the machine that this virtual one shares its processors with, while a program here wanted it. */
  readonly host: number
}

/** Begins to watch the processors: what is returned tells the disturbance since. */
export function watchProcessors(): () => Disturbance {
  const [before, oursBefore] = [processorSeconds(), cpuSeconds(process.pid)]
  return () => {
    const [after, ours] = [processorSeconds(), cpuSeconds(process.pid) - oursBefore]
    const all = after.all - before.all
    const others = (after.busy - before.busy - ours) / all
    return { others: Math.max(0, others), host: (after.stolen - before.stolen) / all }
  }
}

/** Of all processors since the machine's start: user, nice, system, idle, iowait, irq, softirq, steal (proc_stat(5)). */
function processorSeconds(): { busy: number; stolen: number; all: number } {
  const line = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]!
  const ticks = line.split(/ +/).slice(1, 9).map(Number)
  const all = ticks.reduce((sum, count) => sum + count, 0)
  const [idle, waiting, stolen] = [ticks[3]!, ticks[4]!, ticks[7]!]
  const seconds = (count: number): number => count / TICKS_PER_SECOND
  return { busy: seconds(all - idle - waiting - stolen), stolen: seconds(stolen), all: seconds(all) }
}

/** Memory of a process tree in octets: the proportional share of pages that several processes share. Of these, `Pss_Anon`
 *  belongs to no file: the system cannot have it back. */
export function memoryOctets(pid: number, kind: 'Pss' | 'Pss_Anon' = 'Pss'): number {
  const line = new RegExp(`^${kind}:\\s+(\\d+)`, 'm')
  let kibibytes = 0
  for (const one of processTree(pid)) {
    kibibytes += Number(line.exec(processFile(one, 'smaps_rollup') ?? '')?.[1] ?? 0)
  }
  return kibibytes * 1024
}

/** The most memory that any one process of a tree ever had resident, octets: children that were forked share most. */
export function peakMemoryOctets(pid: number): number {
  const peaks = processTree(pid).map(one =>
    Number(/^VmHWM:\s+(\d+)/m.exec(processFile(one, 'status') ?? '')?.[1] ?? 0),
  )
  return Math.max(...peaks) * 1024
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export function machineText(): string {
  const processors = cpus()
  const model = processors[0]?.model ?? 'unknown'
  return `${processors.length} × ${model}, Node.js ${process.version}, ${process.platform} ${process.arch}`
}
