/** System calls of Linux through koffi, which needs no compiler: sockets with batched datagrams, eventfd.
 *  Addresses are plain numbers (user space has 47 bits), so a call allocates nothing.
 *  I1  `koffi.address()` keeps nothing alive: memory whose address is taken comes from `Memory`, which a module-level
 *      set holds until `free`; else the collector hands the kernel's pages to somebody else.
 *  I2  A failing call returns −1 and `errno()` is read at once, before any other call of this thread.
 *  I3  The constants hold for x64 and arm64, the only machines for which `loadSyscalls` answers. */
import { constants } from 'node:os'
import { libc } from '../base/libc.ts'

export const AF_INET = 2
export const AF_INET6 = 10
export const SOCK_DGRAM = 2
/** CLOEXEC and NONBLOCK. Every call gives MSG_DONTWAIT too. */
export const SOCK_FLAGS: number = 0x80000 | 0x800
export const SOL_SOCKET = 1
export const SO_SNDBUF = 7
export const SO_RCVBUF = 8
export const SO_REUSEPORT = 15
export const SO_SNDBUFFORCE = 32
export const SO_RCVBUFFORCE = 33
export const IPPROTO_IP = 0
export const IP_PKTINFO = 8
export const IP_MTU_DISCOVER = 10
export const IPPROTO_IPV6 = 41
export const IPV6_MTU_DISCOVER = 23
export const IPV6_V6ONLY = 26
export const IPV6_RECVPKTINFO = 49
/** Fragment to the interface's MTU and believe no path MTU from ICMP (IP and IPv6 have the same number). */
export const PMTUDISC_OMIT = 5
export const MSG_TRUNC = 0x20
export const MSG_DONTWAIT = 0x40
export const POLLIN = 1
export const POLLOUT = 4
export const EFD_FLAGS: number = 0x80000 | 0x800

type Call = (...words: number[]) => number

export interface Syscalls {
  readonly socket: Call
  readonly bind: Call
  readonly setsockopt: Call
  /** (descriptor, vector, count, flags, timeout) */
  readonly recvmmsg: Call
  /** (descriptor, vector, count, flags) */
  readonly sendmmsg: Call
  readonly poll: Call
  readonly eventfd: Call
  readonly write: Call
  readonly close: Call
  /** Of the last call of this thread. */
  errno(): number
  addressOf(octets: Uint8Array): number
}

/** 64-bit words stand for pointers and size_t. */
const PROTOTYPES = {
  socket: 'int socket(int, int, int)',
  bind: 'int bind(int, int64_t, uint)',
  setsockopt: 'int setsockopt(int, int, int, int64_t, uint)',
  recvmmsg: 'int recvmmsg(int, int64_t, uint, int, int64_t)',
  sendmmsg: 'int sendmmsg(int, int64_t, uint, int)',
  poll: 'int poll(int64_t, uint64_t, int)',
  eventfd: 'int eventfd(uint, int)',
  write: 'int64_t write(int, int64_t, uint64_t)',
  close: 'int close(int)',
} as const

let loaded: Syscalls | null | undefined

/** The calls; null where there is no Linux on x64 or arm64, or koffi has no binary. Loaded at first use, once a thread. */
export function loadSyscalls(): Syscalls | null {
  if (loaded === undefined) loaded = load()
  return loaded
}

function load(): Syscalls | null {
  const library = libc()
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch) || library === undefined)
    return null
  const call = (name: keyof typeof PROTOTYPES): Call => library.function(PROTOTYPES[name])
  return {
    socket: call('socket'),
    bind: call('bind'),
    setsockopt: call('setsockopt'),
    recvmmsg: call('recvmmsg'),
    sendmmsg: call('sendmmsg'),
    poll: call('poll'),
    eventfd: call('eventfd'),
    write: call('write'),
    close: call('close'),
    errno: () => library.errno(),
    addressOf: octets => library.addressOf(octets),
  }
}

/** I1: what the kernel may write to. */
const held = new Set<ArrayBuffer>()

/** Memory with a fixed address. */
export class Memory {
  readonly buffer: ArrayBuffer
  readonly octets: Uint8Array
  readonly address: number

  constructor(calls: Syscalls, length: number) {
    this.buffer = new ArrayBuffer(length)
    held.add(this.buffer)
    this.octets = new Uint8Array(this.buffer)
    this.address = calls.addressOf(this.octets)
  }

  /** After this no call may use the address. */
  free(): void {
    held.delete(this.buffer)
  }
}

const ERRNO_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno).map(([name, value]) => [value, name]),
)

/** `EADDRINUSE` and so on. */
export function errnoName(errno: number): string {
  return ERRNO_NAMES.get(errno) ?? `errno ${errno}`
}

/** Sets an integer option; false when the system refuses. */
export function setOption(
  calls: Syscalls,
  descriptor: number,
  level: number,
  name: number,
  value: number,
): boolean {
  const memory = new Memory(calls, 4)
  new Int32Array(memory.buffer)[0] = value
  const result = calls.setsockopt(descriptor, level, name, memory.address, 4)
  memory.free()
  return result === 0
}

/** An eventfd, for waking a thread that waits in poll; −1 when there is none to be had. */
export function openEvent(calls: Syscalls): number {
  return calls.eventfd(0, EFD_FLAGS)
}

/** Makes an eventfd readable. */
export function raiseEvent(calls: Syscalls, descriptor: number): void {
  const memory = new Memory(calls, 8)
  memory.octets[0] = 1
  calls.write(descriptor, memory.address, 8)
  memory.free()
}
