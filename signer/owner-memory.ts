/** Memory in which stored records get their owner name: one call for all records of an RRset.
 *
 *    [C00C type … RDATA]*  and an owner   ─▶   [owner type … RDATA]*
 *
 *  A digest does it for each record of a zone. In JavaScript that takes 2 ns an octet, or two calls of `copyWithin` of 25 ns;
 *  WebAssembly, whose `memory.copy` V8 calls directly, a quarter of that.
 *  I1  Where there is no WebAssembly (`--jitless`, no room for the addresses that it reserves), JavaScript does the same.
 *  I2  RDLENGTH of the records is right: they are the store's. */

import { RECORD_HEADER_OCTETS, u16 } from '../zones/index.ts'

export interface OwnerMemory {
  readonly octets: Uint8Array
  /** Writes octets[owner .. owner + ownerOctets) and all but the pointer of each of the records octets[from .. end), which
   *  are one or more, to `to` and on; returns where that ends. */
  readonly own: (to: number, owner: number, ownerOctets: number, from: number, end: number) => number
}

/** Of memory in WebAssembly. */
const PAGE_OCTETS = 1 << 16
/** The pointer in place of the owner. */
const POINTER_OCTETS = 2

/** The function, in the instructions of WebAssembly 2.0 §5.4: `local.get` is 0x20, `local.set` 0x21, `local.tee` 0x22,
 *  `i32.const` 0x41, `i32.add` 0x6a. Local 5: octets of a record behind its pointer. */
const CODE: readonly number[] = [
  // One more local, an i32; a loop.
  ...[1, 1, 0x7f, 0x03, 0x40],
  // memory.copy(to, owner, ownerOctets)
  ...[0x20, 0, 0x20, 1, 0x20, 2, 0xfc, 10, 0, 0],
  // to += ownerOctets; memory.copy(to, from + 2,
  ...[0x20, 0, 0x20, 2, 0x6a, 0x22, 0, 0x20, 3, 0x41, 2, 0x6a],
  // octets = 10 + (u8[from + 10] << 8 | u8[from + 11]))
  ...[
    0x20, 3, 0x2d, 0, 10, 0x41, 8, 0x74, 0x20, 3, 0x2d, 0, 11, 0x72, 0x41, 10, 0x6a, 0x22, 5, 0xfc, 10, 0, 0,
  ],
  // to += octets
  ...[0x20, 0, 0x20, 5, 0x6a, 0x21, 0],
  // from += octets + 2; again if from < end
  ...[0x20, 3, 0x20, 5, 0x6a, 0x41, 2, 0x6a, 0x22, 3, 0x20, 4, 0x49, 0x0d, 0, 0x0b],
  // gives to
  ...[0x20, 0, 0x0b],
]

/** Its module (§5.5): sections, each with its number, length, number of entries and entries. */
const MODULE: Uint8Array = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  // Type 0: to, owner, ownerOctets, from, end are i32 and give an i32.
  ...[1, 10, 1, 0x60, 5, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f],
  // Import of the memory "m" "m", of at least one page.
  ...[2, 8, 1, 1, 0x6d, 1, 0x6d, 2, 0, 1],
  // Function 0 is of type 0, and exported as "f".
  ...[3, 2, 1, 0, 7, 5, 1, 1, 0x66, 0, 0],
  ...[10, CODE.length + 2, 1, CODE.length, ...CODE],
)

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
  const pages = Math.ceil(length / PAGE_OCTETS)
  const memory = new Memory({ initial: pages, maximum: pages })
  const { exports } = new Instance(new Module(MODULE), { m: { m: memory } })
  return { octets: new Uint8Array(memory.buffer), own: exports.f }
}

/** I1. */
export function plainMemory(length: number): OwnerMemory {
  const octets = new Uint8Array(length)
  const own: OwnerMemory['own'] = (start, owner, ownerOctets, from, end) => {
    let to = start
    for (let at = from; at < end; ) {
      const next = at + RECORD_HEADER_OCTETS + u16(octets, at + 10)
      octets.copyWithin(to, owner, owner + ownerOctets)
      octets.copyWithin(to + ownerOctets, at + POINTER_OCTETS, next)
      to += ownerOctets + next - at - POINTER_OCTETS
      at = next
    }
    return to
  }
  return { octets, own }
}
