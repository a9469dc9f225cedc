/** The main thread's side of batched UDP: opens the sockets, starts the threads, starts again what dies, stops all.
 *  I1  Sockets belong to the main thread (a process has one table of descriptors), so bind errors are found before
 *      anything runs, privileges can be dropped afterwards, and a dead thread loses no socket.
 *  I2  A thread that died is cleared from the store's readers before the next one starts.
 *  I3  After `close` there is no thread, timer or descriptor left.
 *  I4  Sockets of addresses that stay are kept when others come or go: a thread takes over from the one before it while
 *      both read them, so that no query waits for a thread to start. */
import { Worker } from 'node:worker_threads'
import { type Clock, type Logger, ordinaryPriority, type Timer } from '../base/index.ts'
import type { StoreHandle } from '../zones/index.ts'
import type { AccessControl } from './access.ts'
import { isWildcard, type ListenAddress, listenAddressText, socketAddress } from './address.ts'
import { SEEN_OCTETS } from './answer-cache.ts'
import { COUNTERS } from './counters.ts'
import { listenFailure } from './listen-errors.ts'
import type { AnswererSettings } from './open-answerer.ts'
import {
  AF_INET,
  AF_INET6,
  errnoName,
  IP_MTU_DISCOVER,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  IPV6_RECVPKTINFO,
  IPV6_V6ONLY,
  Memory,
  openEvent,
  PMTUDISC_OMIT,
  raiseEvent,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_REUSEPORT,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_DGRAM,
  SOCK_FLAGS,
  SOL_SOCKET,
  type Syscalls,
  setOption,
} from './syscalls.ts'
import { type BatchSocket, UDP_COUNTERS } from './udp-batch.ts'
import { CONTROL_KEYS, CONTROL_STOP, type WorkerData, type WorkerReport } from './udp-control.ts'

/** Room for some 10,000 queries while a thread is away; the kernel may give less (net.core.rmem_max). */
const SOCKET_BUFFER_OCTETS: number = 4 << 20
/** A thread that dies is started again after this, then twice as long, up to the longest. */
const RESTART_SECONDS_MIN = 0.1
const RESTART_SECONDS_MAX = 30
/** A thread that has lived this long has earned a quick restart again. */
const STEADY_SECONDS = 60

export interface UdpPoolOptions {
  readonly handle: StoreHandle
  readonly store: { clearReader(slot: number): void }
  readonly settings: AnswererSettings
  /** Whose keys the threads verify with, as they are and as they change. */
  readonly access?: AccessControl
  readonly log: Logger
  readonly clock: Clock
}

/** Opens one UDP socket; throws LISTEN_*. `shared` lets other sockets of this process join the address. */
export function openUdpSocket(calls: Syscalls, address: ListenAddress, shared: boolean): BatchSocket {
  const sockaddr = socketAddress(address)
  const family = sockaddr[0]!
  const descriptor = calls.socket(family, SOCK_DGRAM | SOCK_FLAGS, 0)
  if (descriptor < 0) throw listenFailure(errnoName(calls.errno()), address, 'UDP')
  const wildcard = isWildcard(address.host)
  if (shared) setOption(calls, descriptor, SOL_SOCKET, SO_REUSEPORT, 1)
  setFamilyOptions(calls, descriptor, family, wildcard)
  raiseBuffers(calls, descriptor)
  const memory = new Memory(calls, sockaddr.length)
  memory.octets.set(sockaddr)
  const bound = calls.bind(descriptor, memory.address, sockaddr.length) === 0
  const errno = bound ? 0 : calls.errno()
  memory.free()
  if (bound) return { descriptor, family, wildcard }
  calls.close(descriptor)
  throw listenFailure(errnoName(errno), address, 'UDP')
}

function setFamilyOptions(calls: Syscalls, descriptor: number, family: number, wildcard: boolean): void {
  // RFC 9715 §3.1: path MTU discovery off, so that forged ICMP cannot make answers fragment.
  if (family === AF_INET) {
    setOption(calls, descriptor, IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_OMIT)
    if (wildcard) setOption(calls, descriptor, IPPROTO_IP, IP_PKTINFO, 1)
  }
  if (family === AF_INET6) {
    setOption(calls, descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1)
    setOption(calls, descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_OMIT)
    if (wildcard) setOption(calls, descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
  }
}

/** The FORCE forms go beyond the system's limit and need CAP_NET_ADMIN. */
function raiseBuffers(calls: Syscalls, descriptor: number): void {
  const raise = (force: number, plain: number): boolean =>
    setOption(calls, descriptor, SOL_SOCKET, force, SOCKET_BUFFER_OCTETS) ||
    setOption(calls, descriptor, SOL_SOCKET, plain, SOCKET_BUFFER_OCTETS)
  raise(SO_RCVBUFFORCE, SO_RCVBUF)
  raise(SO_SNDBUFFORCE, SO_SNDBUF)
}

interface BoundSocket extends BatchSocket {
  readonly address: ListenAddress
}

/** One thread and what outlives it: sockets, event, shared blocks. */
interface Member {
  readonly sockets: readonly BoundSocket[]
  readonly event: number
  readonly control: SharedArrayBuffer
  readonly counters: SharedArrayBuffer
  readonly transportCounters: SharedArrayBuffer
  worker: Worker | undefined
  slot: number
  startedAt: number
  backoffSeconds: number
  timer: Timer | undefined
  exited: Promise<void>
  /** It ends because it shall. */
  leaving: boolean
}

export class UdpPool {
  readonly #calls: Syscalls
  readonly #options: UdpPoolOptions
  #members: readonly Member[] = []
  /** Members that take over soon. */
  #successors: readonly Member[] = []
  /** Counters of threads that others have taken over from. */
  readonly #past = new Float64Array(COUNTERS)
  readonly #transportPast = new Float64Array(UDP_COUNTERS)
  readonly #unwatch: (() => void) | undefined
  /** Whichever thread a client's queries come to, others may have got them before. */
  readonly #seen = new SharedArrayBuffer(SEEN_OCTETS)
  #closing = false
  #restarts = 0

  /** Opens every socket of every thread; throws LISTEN_* with nothing left open. */
  constructor(
    calls: Syscalls,
    addresses: readonly ListenAddress[],
    workers: number,
    options: UdpPoolOptions,
  ) {
    this.#calls = calls
    this.#options = options
    this.#members = this.#openAll(addresses, workers).map(sockets => this.#newMember(sockets))
    this.#unwatch = options.access?.watch(() => this.#sendKeys())
  }

  /** A socket of each address for each thread; throws LISTEN_* with none left open. */
  #openAll(addresses: readonly ListenAddress[], workers: number): BoundSocket[][] {
    const opened: BoundSocket[][] = []
    try {
      // SO_REUSEPORT would hide that another process of ours has the port: ask once without it.
      if (workers > 1) {
        for (const address of addresses) {
          this.#calls.close(openUdpSocket(this.#calls, address, false).descriptor)
        }
      }
      for (let index = 0; index < workers; index++) {
        const sockets: BoundSocket[] = []
        opened.push(sockets)
        for (const address of addresses) {
          sockets.push({ ...openUdpSocket(this.#calls, address, workers > 1), address })
        }
      }
      return opened
    } catch (error) {
      for (const { descriptor } of opened.flat()) this.#calls.close(descriptor)
      throw error
    }
  }

  #newMember(sockets: readonly BoundSocket[]): Member {
    const block = (length: number): SharedArrayBuffer => new SharedArrayBuffer(length * 8)
    return {
      sockets,
      event: openEvent(this.#calls),
      control: block(1),
      counters: block(COUNTERS),
      transportCounters: block(UDP_COUNTERS),
      worker: undefined,
      slot: -1,
      startedAt: 0,
      backoffSeconds: RESTART_SECONDS_MIN,
      timer: undefined,
      exited: Promise.resolve(),
      leaving: false,
    }
  }

  /** Opens and closes addresses while the others are served (I4); throws with nothing changed.
   *  @throws ConclaveError LISTEN_… */
  async change(opening: readonly ListenAddress[], closing: readonly ListenAddress[]): Promise<void> {
    const gone = new Set(closing.map(listenAddressText))
    const opened = this.#openAll(opening, this.#members.length)
    const kept = this.#members.map(({ sockets }) =>
      sockets.filter(({ address }) => !gone.has(listenAddressText(address))),
    )
    const before = this.#members
    const after = opened.map((sockets, index) => this.#newMember([...kept[index]!, ...sockets]))
    this.#successors = after
    try {
      await Promise.all(after.map(member => this.#startMember(member)))
    } catch (error) {
      await Promise.all(after.map(member => this.#retire(member, kept.flat())))
      throw error
    } finally {
      this.#successors = []
    }
    this.#members = after
    await Promise.all(before.map(member => this.#retire(member, kept.flat())))
  }

  /** Ends a thread; sockets that others read are left open. */
  async #retire(member: Member, kept: readonly BoundSocket[]): Promise<void> {
    await this.#stop(member)
    addTo(this.#past, new Float64Array(member.counters))
    addTo(this.#transportPast, new Float64Array(member.transportCounters))
    this.#release(member, kept)
  }

  /** Resolves when the thread has answered what waits at its sockets, and has ended. */
  #stop(member: Member): Promise<void> {
    member.leaving = true
    member.timer?.cancel()
    Atomics.store(new Int32Array(member.control), CONTROL_STOP, 1)
    raiseEvent(this.#calls, member.event)
    return member.exited
  }

  /** Starts the threads; resolves when each has opened its answerer. */
  async start(): Promise<void> {
    await Promise.all(this.#members.map(member => this.#startMember(member)))
  }

  /** Blocks of the answerers' counters, to be summed. */
  get counters(): Float64Array[] {
    return [this.#past, ...this.#members.map(member => new Float64Array(member.counters))]
  }

  get transportCounters(): Float64Array[] {
    return [this.#transportPast, ...this.#members.map(member => new Float64Array(member.transportCounters))]
  }

  /** Threads that died and were started again. */
  get restarts(): number {
    return this.#restarts
  }

  #startMember(member: Member): Promise<void> {
    const { handle, settings, access, clock } = this.#options
    const keys = access?.current().keys ?? []
    const { sockets, event, control, counters, transportCounters } = member
    const data: WorkerData = {
      handle,
      settings,
      keys,
      sockets,
      seen: this.#seen,
      priority: ordinaryPriority,
      event,
      control,
      counters,
      transportCounters,
    }
    // No options of the program's own command line: some (--input-type) are not for threads that run a file.
    const worker = new Worker(new URL('./udp-worker.js', import.meta.url), { workerData: data, execArgv: [] })
    member.worker = worker
    member.startedAt = clock.now()
    let fault: unknown
    worker.on('error', error => {
      fault = error
    })
    member.exited = new Promise(resolve => {
      worker.once('exit', code => {
        this.#ended(member, code, fault)
        resolve()
      })
    })
    return new Promise((resolve, reject) => {
      worker.once('message', (report: WorkerReport) => {
        member.slot = report.slot
        resolve()
      })
      worker.once('exit', () => reject(fault ?? new Error('a UDP thread ended before it began')))
    })
  }

  /** A thread that is being started finds the message, too. */
  #sendKeys(): void {
    const keys = this.#options.access?.current().keys ?? []
    for (const { worker, control } of [...this.#members, ...this.#successors]) {
      worker?.postMessage(keys)
      Atomics.add(new Int32Array(control), CONTROL_KEYS, 1)
    }
  }

  /** I2, and the next start. */
  #ended(member: Member, code: number, fault: unknown): void {
    member.worker = undefined
    // A thread that ended by itself has given its slot back.
    if (member.slot >= 0 && code !== 0) this.#options.store.clearReader(member.slot)
    member.slot = -1
    if (this.#closing || member.leaving) return
    const { clock, log } = this.#options
    if (clock.now() - member.startedAt > STEADY_SECONDS) member.backoffSeconds = RESTART_SECONDS_MIN
    const seconds = member.backoffSeconds
    member.backoffSeconds = Math.min(seconds * 2, RESTART_SECONDS_MAX)
    log.error('a UDP thread died; another one takes its place', {
      error: fault instanceof Error ? (fault.stack ?? fault.message) : String(fault),
      afterSeconds: seconds,
    })
    member.timer = clock.after(seconds, () => {
      this.#restarts++
      // What makes the start fail makes the thread end: that is logged, and tried again, above.
      this.#startMember(member).catch(() => {})
    })
  }

  /** Ends the threads after they have answered what waits at their sockets. */
  async close(): Promise<void> {
    this.#closing = true
    this.#unwatch?.()
    await Promise.all(this.#members.map(member => this.#stop(member)))
    for (const member of this.#members) this.#release(member)
    this.#members = []
  }

  #release(member: Member, kept: readonly BoundSocket[] = []): void {
    for (const socket of member.sockets) if (!kept.includes(socket)) this.#calls.close(socket.descriptor)
    this.#calls.close(member.event)
  }
}

function addTo(sums: Float64Array, block: Float64Array): void {
  for (const [index, value] of block.entries()) sums[index]! += value
}
