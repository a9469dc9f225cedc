/** System calls of a process and its threads, as strace(1) writes them, in the order they began and ended.
 *    PID call(arguments) = result          PID call(arguments <unfinished ...>  …  PID <... call resumed>arguments) = result
 *  I1  Strings are whole, in hexadecimal (-xx, -s); descriptors carry their paths (-y). */

/** What tells of files, and what leaves by a socket. */
const CALLS = [
  'openat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir',
  'write,writev,pwrite64,pwritev,pwritev2,lseek,ftruncate,truncate,fallocate,copy_file_range,sendfile',
  'fsync,fdatasync,sync_file_range,msync,syncfs,sync',
  'sendto,sendmsg,sendmmsg',
]
const STRING_OCTETS_MAX = 1 << 22

/** In front of a command. The traced process is the one that is started, so that signals reach it (-D). */
export function straceWords(file: string): string[] {
  const options = ['-D', '-f', '-y', '-xx', '-s', String(STRING_OCTETS_MAX), '-e', 'signal=none']
  return ['strace', ...options, '-e', `trace=${CALLS.join()}`, '-o', file]
}

export interface TracedCall {
  readonly name: string
  /** All between the brackets. */
  readonly text: string
  /** Negative: it failed. */
  readonly result: number
  readonly strings: readonly Buffer[]
  /** The first argument, when it is a descriptor, and its path; of openat, the result's. */
  readonly descriptor: number
  readonly path: string
}

export interface TraceEvent {
  readonly at: 'begin' | 'end'
  readonly call: TracedCall
}

/** The events of a whole trace. Calls that never ended are left out. */
export function traceEvents(trace: string): TraceEvent[] {
  const events: (TraceEvent | undefined)[] = []
  const begun = new Map<string, { readonly text: string; readonly slot: number }>()
  for (const line of trace.split('\n')) {
    const space = line.indexOf(' ')
    const pid = line.slice(0, space)
    const rest = line.slice(space).trimStart()
    const unfinished = rest.indexOf(' <unfinished ...>')
    if (unfinished >= 0) {
      begun.set(pid, { text: rest.slice(0, unfinished), slot: events.push(undefined) - 1 })
      continue
    }
    const resumed = /^<\.\.\. \w+ resumed>/.exec(rest)
    const before = resumed === null ? undefined : begun.get(pid)
    if (resumed !== null && before === undefined) continue
    const call = callOf(before === undefined ? rest : before.text + rest.slice(resumed![0].length))
    if (call === undefined) continue
    if (before === undefined) events.push({ at: 'begin', call })
    else events[before.slot] = { at: 'begin', call }
    events.push({ at: 'end', call })
  }
  return events.filter(event => event !== undefined)
}

const CALL = /^(\w+)\((.*)\)\s+= (-?\d+)(?:<((?:\\x[0-9a-f]{2})*)>)?/s
const STRING = /"((?:\\x[0-9a-f]{2})*)"/g
const DESCRIPTOR = /^(\d+)<((?:\\x[0-9a-f]{2})*)>/

function callOf(line: string): TracedCall | undefined {
  const match = CALL.exec(line)
  if (match === null) return undefined
  const [, name, text, result, resultPath] = match
  const strings = [...text!.matchAll(STRING)].map(([, hex]) => octetsOf(hex!))
  const opened = resultPath === undefined ? DESCRIPTOR.exec(text!) : [undefined, result, resultPath]
  return {
    name: name!,
    text: text!,
    result: Number(result),
    strings,
    descriptor: Number(opened?.[1] ?? -1),
    path: octetsOf(opened?.[2] ?? '').toString(),
  }
}

function octetsOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll('\\x', ''), 'hex')
}
