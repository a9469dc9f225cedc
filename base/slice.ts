/** How long the slices are in which a thread has a processor (sched_setattr(2)). Linux 6.12 and newer let a thread that
 *  wakes have the processor at once where the one that has it asked for longer slices; else it may wait for the end of
 *  that one's slice, which may be seen only at a tick, up to 4 ms later. Shares stay: long slices are had as much less
 *  often. Needs no privilege.
 *  I1  Where it cannot be had (older kernels, other machines, a filter of system calls), nothing happens. */
import { getPriority } from 'node:os'
import { type Libc, libc } from './libc.ts'

/** The longest that the kernel knows. */
export const LONG_SLICE_MILLISECONDS = 100
/** In place of a number: what the kernel gives whoever has not asked. */
export const ORDINARY_SLICE = 0

/** The C library has no function for it in all of its versions. */
const CALL_NUMBERS: Readonly<Record<string, number>> = { x64: 314, arm64: 274 }
/** struct sched_attr: size 0, policy 4, flags 8, nice 16, priority 20, runtime 24 (in nanoseconds), deadline, period. */
const ATTRIBUTES_OCTETS = 48
/** SCHED_FLAG_KEEP_POLICY: whoever started the process may have chosen one. */
const KEEP_POLICY = 8n

type SetAttributes = (call: number, thread: number, attributes: Uint8Array, flags: number) => number

let loaded: { call: SetAttributes | undefined } | undefined

/** Of the calling thread (0) or another one of this process; its priority stays. */
export function askForSlices(thread: number, milliseconds: number): void {
  const number = process.platform === 'linux' ? CALL_NUMBERS[process.arch] : undefined
  if (number === undefined) return
  loaded ??= { call: setAttributes(libc()) }
  const attributes = new DataView(new ArrayBuffer(ATTRIBUTES_OCTETS))
  attributes.setUint32(0, ATTRIBUTES_OCTETS, true)
  attributes.setBigUint64(8, KEEP_POLICY, true)
  attributes.setInt32(16, getPriority(thread), true)
  attributes.setBigUint64(24, BigInt(milliseconds) * 1_000_000n, true)
  loaded.call?.(number, thread, new Uint8Array(attributes.buffer), 0)
}

function setAttributes(system: Libc | undefined): SetAttributes | undefined {
  return system?.function('int64_t syscall(int64_t, int, const void *, uint)')
}
