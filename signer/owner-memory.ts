/** Memory in which stored records get their owner name: one call for all RRsets of a node.
 *
 *    [header [C00C type … RDATA]* signatures]*  and an owner   ─▶   [owner type … RDATA]*
 *
 *  A digest does it for each record of a zone. In JavaScript that takes 2 ns an octet, or two calls of `copyWithin` of 25 ns;
 *  WebAssembly a tenth of that with vectors of sixteen octets, a quarter with `memory.copy`, a call for each piece.
 *  I1  Where there is no WebAssembly (`--jitless`, no room for the addresses that it reserves), JavaScript does the same.
 *  I2  Lengths of RRsets and records are right: they are the store's.
 *  I3  Up to OVERRUN_OCTETS behind what is written may be written too, and nothing else: a vector is copied whole. */

import { RECORD_HEADER_OCTETS, RRSET_HEADER_OCTETS, u16 } from '../zones/index.ts'

export interface OwnerMemory {
  readonly octets: Uint8Array
  /** Writes octets[owner .. owner + ownerOctets) and all but the pointer of each record, or, when `signatures` is 1, each
   *  signature, of the RRsets octets[at .. end), which are one or more, to `to` and on; returns where that ends (I3). */
  readonly own: (
    to: number,
    owner: number,
    ownerOctets: number,
    at: number,
    end: number,
    signatures: 0 | 1,
  ) => number
}

/** Of memory in WebAssembly. */
const PAGE_OCTETS = 1 << 16
/** The pointer in place of the owner. */
const POINTER_OCTETS = 2

const VECTOR_OCTETS = 16
export const OVERRUN_OCTETS: number = VECTOR_OCTETS - 1

/** Instructions that copy `count` octets, which are one or more, from `from` + `behind` to `to`: all locals but `behind`.
 *  Local 9: how far. */
function copyLoop(to: number, from: number, behind: number, count: number): readonly number[] {
  return [
    // at = 0; a loop
    ...[0x41, 0, 0x21, 9, 0x03, 0x40],
    // v128[to + at] = v128[from + at + behind]
    ...[0x20, to, 0x20, 9, 0x6a, 0x20, from, 0x20, 9, 0x6a, 0xfd, 0, 0, behind, 0xfd, 11, 0, 0],
    // again if (at += 16) < count
    ...[0x20, 9, 0x41, VECTOR_OCTETS, 0x6a, 0x22, 9, 0x20, count, 0x49, 0x0d, 0, 0x0b],
  ]
}

/** That give u8[local + offset] << 8 | u8[local + offset + 1]. */
function u16At(local: number, offset: number): readonly number[] {
  return [0x20, local, 0x2d, 0, offset, 0x41, 8, 0x74, 0x20, local, 0x2d, 0, offset + 1, 0x72]
}

/** The function, in the instructions of WebAssembly 2.0 §5.4: `local.get` is 0x20, `local.set` 0x21, `local.tee` 0x22,
 *  `i32.const` 0x41, `i32.add` 0x6a, `v128.load` 0xfd 0, `v128.store` 0xfd 11. Locals 0 to 5 are the parameters, 6 and 7 where
 *  the record at hand begins and its like of the RRset end, 8 its octets behind the pointer. */
const CODE: readonly number[] = [
  // Four more locals, i32; a loop over RRsets.
  ...[1, 4, 0x7f, 0x03, 0x40],
  // from = at + 10; behind = from + u16[at + 6]; at = behind + u16[at + 8]
  ...[0x20, 3, 0x41, RRSET_HEADER_OCTETS, 0x6a, 0x22, 6, ...u16At(3, 6), 0x6a, 0x22, 7],
  ...[...u16At(3, 8), 0x6a, 0x21, 3],
  // if (signatures) from = behind, behind = at
  ...[0x20, 5, 0x04, 0x40, 0x20, 7, 0x21, 6, 0x20, 3, 0x21, 7, 0x0b],
  // if (from < behind), a loop over records
  ...[0x20, 6, 0x20, 7, 0x49, 0x04, 0x40, 0x03, 0x40],
  ...copyLoop(0, 1, 0, 2),
  // to += ownerOctets
  ...[0x20, 0, 0x20, 2, 0x6a, 0x21, 0],
  // octets = 10 + u16[from + 10]
  ...[0x41, 10, ...u16At(6, 10), 0x6a, 0x21, 8],
  ...copyLoop(0, 6, POINTER_OCTETS, 8),
  // to += octets
  ...[0x20, 0, 0x20, 8, 0x6a, 0x21, 0],
  // from += octets + 2; again if from < behind
  ...[0x20, 6, 0x20, 8, 0x6a, 0x41, 2, 0x6a, 0x22, 6, 0x20, 7, 0x49, 0x0d, 0, 0x0b, 0x0b],
  // again if at < end
  ...[0x20, 3, 0x20, 4, 0x49, 0x0d, 0, 0x0b],
  // gives to
  ...[0x20, 0, 0x0b],
]

/** Its module (§5.5): sections, each with its number, length, number of entries and entries. */
const MODULE: Uint8Array = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  // Type 0: six parameters are i32 and give an i32.
  ...[1, 11, 1, 0x60, 6, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f],
  // Import of the memory "m" "m", of at least one page.
  ...[2, 8, 1, 1, 0x6d, 1, 0x6d, 2, 0, 1],
  // Function 0 is of type 0, and exported as "f".
  ...[3, 2, 1, 0, 7, 5, 1, 1, 0x66, 0, 0],
  ...[10, ...length14(CODE.length + 3), 1, ...length14(CODE.length), ...CODE],
)

/** A length below 2^14 in LEB128 (§5.2.2) of two octets. */
function length14(length: number): readonly number[] {
  return [(length & 0x7f) | 0x80, length >> 7]
}

/** What is used of it: neither Node.js's types nor those of the language have it. */
interface WebAssemblyApi {
  readonly Memory: new (limits: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer }
  readonly Module: new (octets: Uint8Array) => object
  readonly Instance: new (
    module: object,
    imports: object,
  ) => { readonly exports: { readonly f: OwnerMemory['own'] } }
}

export function ownerMemory(length: number): OwnerMemory {
  try {
    return wasmMemory(length, (globalThis as unknown as { WebAssembly: WebAssemblyApi }).WebAssembly)
  } catch {
    return plainMemory(length)
  }
}

function wasmMemory(length: number, { Memory, Module, Instance }: WebAssemblyApi): OwnerMemory {
  const pages = Math.ceil((length + OVERRUN_OCTETS) / PAGE_OCTETS)
  const memory = new Memory({ initial: pages, maximum: pages })
  const { exports } = new Instance(new Module(MODULE), { m: { m: memory } })
  return { octets: new Uint8Array(memory.buffer), own: exports.f }
}

/** I1. */
export function plainMemory(length: number): OwnerMemory {
  const octets = new Uint8Array(length)
  const own: OwnerMemory['own'] = (start, owner, ownerOctets, first, end, signatures) => {
    let to = start
    for (let at = first; at < end; ) {
      const data = at + RRSET_HEADER_OCTETS
      const middle = data + u16(octets, at + 6)
      at = middle + u16(octets, at + 8)
      const behind = signatures === 1 ? at : middle
      for (let from = signatures === 1 ? middle : data; from < behind; ) {
        const next = from + RECORD_HEADER_OCTETS + u16(octets, from + 10)
        octets.copyWithin(to, owner, owner + ownerOctets)
        octets.copyWithin(to + ownerOctets, from + POINTER_OCTETS, next)
        to += ownerOctets + next - from - POINTER_OCTETS
        from = next
      }
    }
    return to
  }
  return { octets, own }
}
