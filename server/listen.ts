/** Opens all that a nameserver listens on and closes it again: UDP in batches or through node:dgram, and TCP.
 *  I1  Everything is open or nothing is: a failing address closes the others and names itself (LISTEN_*).
 *  I2  An address has the same port for UDP and TCP (RFC 7766 §5); port 0 is one that is free for both.
 *  I3  TCP is bound first, exclusively; UDP is then asked for without SO_REUSEPORT: what another program has is found.
 *  I4  `change` opens and closes addresses while the others are served; when one cannot be opened, nothing changes.
 *  I5  Nothing of the process changes: no signal handler, no listener, no environment. Two servers do not meet. */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import type { Clock, Logger } from '../base/index.ts'
import { ConclaveError } from '../base/index.ts'
import type { StoreHandle } from '../zones/index.ts'
import type { AccessControl } from './access.ts'
import { isWildcard, type ListenAddress, listenAddressText, parseListenAddress } from './address.ts'
import { type TransferLimits, Transfers } from './axfr.ts'
import { countersOf, newCounterBlock, sumCounters } from './counters.ts'
import { listenFailure } from './listen-errors.ts'
import { type AnswererSettings, type OpenedAnswerer, openAnswerer } from './open-answerer.ts'
import { loadSyscalls, type Syscalls } from './syscalls.ts'
import { type TcpCounters, type TcpLimits, TcpServer } from './tcp.ts'
import { UDP_BATCHES, UDP_OVERLONG, UDP_UNSENT } from './udp-batch.ts'
import { DgramServer } from './udp-dgram.ts'
import { openUdpSocket, UdpPool } from './udp-pool.ts'

export interface ListenOptions {
  readonly handle: StoreHandle
  /** Whose reader slots are cleared when a thread dies: the Store. */
  readonly store: { clearReader(slot: number): void }
  /** At least one; texts as `parseListenAddress` reads them. */
  readonly addresses: readonly (ListenAddress | string)[]
  /** UDP threads. */
  readonly workers: number
  /** How UDP is served; by default in batches where that works. */
  readonly udp?: 'batch' | 'dgram'
  readonly answerOptions?: AnswererSettings
  /** Who may transfer zones, and the keys of signed queries; by default loopback, and none. */
  readonly access?: AccessControl
  readonly limits?: { readonly tcp?: Partial<TcpLimits>; readonly transfers?: Partial<TransferLimits> }
  readonly log: Logger
  readonly clock: Clock
}

export interface ListenCounters {
  /** Sums of the answerers' counters, by name (counters.ts). */
  readonly answers: Readonly<Record<string, number>>
  readonly udp: {
    readonly batches: number
    /** Answers that the system did not take. */
    readonly unsent: number
    /** Datagrams longer than a query can be. */
    readonly overlong: number
    readonly restarts: number
  }
  readonly tcp: TcpCounters
  readonly transfers: { readonly completed: number; readonly refused: number }
}

export interface Listeners {
  /** As bound, ports included. */
  readonly addresses: readonly ListenAddress[]
  readonly udp: 'batch' | 'dgram'
  counters(): ListenCounters
  /** Listens on these from now on (I4). Addresses are the same when they were asked for with the same words.
   *  @throws ConclaveError LISTEN_… */
  change(addresses: ListenOptions['addresses']): Promise<void>
  /** Finishes what is in progress, for up to `drainSeconds` (default 2), and leaves nothing running. */
  close(options?: { readonly drainSeconds?: number }): Promise<void>
}

const DRAIN_SECONDS = 2
/** Tries to find a port that is free for UDP among those that TCP was given. */
const PORT_TRIES_MAX = 32

/** Opens everything; throws LISTEN_* with nothing left open. */
export async function openListeners(options: ListenOptions): Promise<Listeners> {
  const asked = checkAddresses(options)
  const calls = options.udp === 'dgram' ? null : loadSyscalls()
  if (options.udp === 'batch' && calls === null) {
    throw new ConclaveError('LISTEN_NO_BATCH', 'batched UDP needs Linux on x64 or arm64, and koffi', {
      remedy: 'Install without --omit=optional, or use udp: dgram.',
    })
  }
  const listeners = new OpenListeners(options, calls)
  try {
    await listeners.open(asked)
  } catch (error) {
    await listeners.close({ drainSeconds: 0 })
    throw error
  }
  return listeners
}

/** Binds each address for a moment, so that what stands in the way is told before zones are read and signed.
 *  @throws ConclaveError LISTEN_… */
export async function probeAddresses(addresses: ListenOptions['addresses']): Promise<void> {
  for (const address of checkAddresses({ addresses })) {
    await probe(address, 'TCP')
    await probe(address, 'UDP')
  }
}

function probe(address: ListenAddress, transport: 'UDP' | 'TCP'): Promise<void> {
  const ipv6Only = address.host.includes(':')
  const server =
    transport === 'TCP'
      ? createServer()
      : createSocket(ipv6Only ? { type: 'udp6', ipv6Only } : { type: 'udp4' })
  return new Promise((resolve, reject) => {
    const options = { port: address.port, exclusive: true }
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(listenFailure(error.code ?? error.message, address, transport)),
    )
    server.once('listening', () => server.close(() => resolve()))
    if ('listen' in server) server.listen({ ...options, host: address.host, ipv6Only })
    else server.bind({ ...options, address: address.host })
  })
}

function checkAddresses(options: Pick<ListenOptions, 'addresses'>): ListenAddress[] {
  const addresses = options.addresses.map(one => (typeof one === 'string' ? parseListenAddress(one) : one))
  const seen = new Set<string>()
  for (const address of addresses) {
    const text = listenAddressText(address)
    if (address.port !== 0 && seen.has(text)) throw listenFailure('EADDRINUSE', address, 'TCP')
    seen.add(text)
  }
  if (addresses.length > 0) return addresses
  throw new ConclaveError('LISTEN_NONE', 'there is no address to listen on', {
    remedy: 'Give at least one, for example 127.0.0.1@5300.',
  })
}

/** An address as it was asked for, and with the port it got. */
interface OpenAddress {
  readonly asked: string
  readonly bound: ListenAddress
}

class OpenListeners implements Listeners {
  #open: readonly OpenAddress[] = []
  readonly udp: 'batch' | 'dgram'
  readonly #options: ListenOptions
  readonly #calls: Syscalls | null
  readonly #counters = countersOf(newCounterBlock())
  #local: OpenedAnswerer | undefined
  #tcp: TcpServer | undefined
  #transfers: Transfers | undefined
  #pool: UdpPool | undefined
  #dgram: DgramServer | undefined
  #closed: Promise<void> | undefined

  constructor(options: ListenOptions, calls: Syscalls | null) {
    this.#options = options
    this.#calls = calls
    this.udp = calls === null ? 'dgram' : 'batch'
  }

  async open(asked: readonly ListenAddress[]): Promise<void> {
    const { handle, answerOptions = {}, access, limits = {}, log, clock } = this.#options
    this.#local = await openAnswerer(handle, answerOptions, this.#counters, {
      now: () => clock.now(),
      ...(access === undefined ? {} : { keyring: access }),
    })
    this.#transfers = new Transfers({
      handle,
      log,
      clock,
      ...(access === undefined ? {} : { access }),
      ...(limits.transfers === undefined ? {} : { limits: limits.transfers }),
    })
    this.#tcp = new TcpServer(this.#local.answerer, this.#transfers, limits.tcp ?? {}, log, clock)
    this.#open = await this.#openAll(asked, addresses =>
      this.#calls === null ? this.#openDgram(addresses) : this.#openPool(this.#calls, addresses),
    )
  }

  get addresses(): readonly ListenAddress[] {
    return this.#open.map(({ bound }) => bound)
  }

  async change(addresses: ListenOptions['addresses']): Promise<void> {
    const wanted = checkAddresses({ addresses })
    const words = wanted.map(listenAddressText)
    const kept = this.#open.filter(({ asked }) => words.includes(asked))
    const gone = this.#open.filter(({ asked }) => !words.includes(asked)).map(({ bound }) => bound)
    const fresh = wanted.filter(address => !kept.some(({ asked }) => asked === listenAddressText(address)))
    if (fresh.length + gone.length === 0) return
    const opened = await this.#openAll(fresh, async bound => {
      await this.#pool?.change(bound, gone)
      await this.#openDgram(bound)
    })
    for (const address of gone) {
      this.#tcp!.closeAddress(address)
      await this.#dgram?.closeAddress(address)
    }
    const all = [...kept, ...opened]
    this.#open = words.flatMap(word => all.find(({ asked }) => asked === word) ?? [])
  }

  /** I1: TCP first (I3), then UDP; when that fails, TCP is closed again. */
  async #openAll(
    asked: readonly ListenAddress[],
    openUdp: (addresses: readonly ListenAddress[]) => Promise<void>,
  ): Promise<OpenAddress[]> {
    const opened: OpenAddress[] = []
    try {
      for (const address of asked) {
        opened.push({ asked: listenAddressText(address), bound: await this.#openTcp(address) })
      }
      await openUdp(opened.map(({ bound }) => bound))
      return opened
    } catch (error) {
      for (const { bound } of opened) this.#tcp!.closeAddress(bound)
      throw error
    }
  }

  /** I2. */
  async #openTcp(address: ListenAddress): Promise<ListenAddress> {
    const tcp = this.#tcp!
    if (address.port !== 0) return tcp.open(address)
    for (let tries = 1; ; tries++) {
      const bound = await tcp.open(address)
      if (await this.#udpIsFree(bound)) return bound
      tcp.closeAddress(bound)
      if (tries === PORT_TRIES_MAX) throw listenFailure('EADDRINUSE', bound, 'UDP')
    }
  }

  async #udpIsFree(address: ListenAddress): Promise<boolean> {
    try {
      if (this.#calls !== null) this.#calls.close(openUdpSocket(this.#calls, address, false).descriptor)
      else {
        const probe = new DgramServer(this.#local!.answerer, this.#options.log)
        await probe.open(address)
        await probe.close()
      }
      return true
    } catch (error) {
      if (error instanceof ConclaveError && error.code === 'LISTEN_IN_USE') return false
      throw error
    }
  }

  async #openPool(calls: Syscalls, addresses: readonly ListenAddress[]): Promise<void> {
    const { handle, store, answerOptions, access, workers, log, clock } = this.#options
    const settings = answerOptions ?? {}
    const count = Math.max(1, workers)
    this.#pool = new UdpPool(calls, addresses, count, {
      ...{ handle, store, settings, log, clock },
      ...(access === undefined ? {} : { access }),
    })
    await this.#pool.start()
  }

  /** All of them or, when one cannot be opened, none. */
  async #openDgram(addresses: readonly ListenAddress[]): Promise<void> {
    if (this.#calls !== null) return
    const { log } = this.#options
    this.#dgram ??= new DgramServer(this.#local!.answerer, log)
    const opened: ListenAddress[] = []
    try {
      for (const address of addresses) {
        await this.#dgram.open(address)
        opened.push(address)
        if (!isWildcard(address.host)) continue
        log.warn('on a wildcard address node:dgram may answer from another address than the one asked', {
          address: listenAddressText(address),
        })
      }
    } catch (error) {
      for (const address of opened) await this.#dgram.closeAddress(address)
      throw error
    }
  }

  counters(): ListenCounters {
    const blocks = this.#pool?.transportCounters ?? (this.#dgram ? [this.#dgram.transportCounters] : [])
    const sum = (word: number): number => blocks.reduce((total, block) => total + block[word]!, 0)
    return {
      answers: sumCounters([this.#counters, ...(this.#pool?.counters ?? [])]),
      udp: {
        batches: sum(UDP_BATCHES),
        unsent: sum(UDP_UNSENT),
        overlong: sum(UDP_OVERLONG),
        restarts: this.#pool?.restarts ?? 0,
      },
      tcp: this.#tcp?.counters() ?? { connections: 0, accepted: 0, rejected: 0, timedOut: 0 },
      transfers: { completed: this.#transfers?.completed ?? 0, refused: this.#transfers?.refused ?? 0 },
    }
  }

  close(options: { readonly drainSeconds?: number } = {}): Promise<void> {
    this.#closed ??= this.#closeAll(options.drainSeconds ?? DRAIN_SECONDS)
    return this.#closed
  }

  async #closeAll(drainSeconds: number): Promise<void> {
    await Promise.all([this.#tcp?.close(drainSeconds), this.#pool?.close(), this.#dgram?.close()])
    this.#local?.answerer.close()
  }
}
