/** Memory in which a node's stored records become those of a digest, by one call: with their owner, in the digest's order.
 *
 *    labels apex  and  [header [C00C type … RDATA]* signatures]*   ─▶   [owner type … RDATA]*
 *
 *  A digest does it for each record of a zone. In JavaScript that takes 2 ns an octet, or two calls of `copyWithin` of 25 ns;
 *  WebAssembly a tenth of that with vectors of sixteen octets, a quarter with `memory.copy`, a call for each piece.
 *  I1  Where there is no WebAssembly (`--jitless`, no room for the addresses that it reserves), JavaScript does the same.
 *  I2  Lengths of RRsets and records are right: they are the store's.
 *  I3  Up to OVERRUN_OCTETS behind what is written may be written too, and nothing else: a vector is copied whole.
 *  I4  With LOOK, what is written is canonical RDATA (RFC 4034 §6.2), or 0 is returned. It is canonical for sure where names
 *      have no capitals and signers are the apex as it is here. */

import {
  hasLoweredNames,
  nextRRsetAt,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  TYPE,
  u16,
} from '../zones/index.ts'
import { RRSIG_FIXED_OCTETS } from './rrsig.ts'

/** What is wanted of RRsets: their records when of a type below RRSIG; their signatures; their records when of a type above.
 *  It is written in this order. */
export const BELOW = 1
export const SIGNATURES = 2
export const ABOVE = 4
/** I4. */
export const LOOK = 8

/** Where the apex is, with the other labels of the owner in front of it. */
export const APEX_AT = 512

export interface OwnerMemory {
  readonly octets: Uint8Array
  /** Writes octets[APEX_AT - labels .. APEX_AT + apexOctets) and all but the pointer of each record that is wanted of the RRsets
   *  octets[at .. end) to `to` and on; returns where that ends (I3, I4). */
  readonly own: (
    to: number,
    labels: number,
    apexOctets: number,
    at: number,
    end: number,
    wanted: number,
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

/** A number below 2^13 in LEB128 (§5.2.2) of two octets. */
function number13(number: number): readonly number[] {
  return [(number & 0x7f) | 0x80, number >> 7]
}

/** A bit for each type below 49, whether its RDATA has names that go to lower case: an i64 in LEB128. */
const LOWERED_TYPES: readonly number[] = Array.from({ length: 7 }, (_, septet) => {
  let octet = septet < 6 ? 0x80 : 0
  for (let bit = 0; bit < 7; bit++) if (hasLoweredNames(7 * septet + bit)) octet |= 1 << bit
  return octet
})

/** Returns 0 where a name of the record has a capital: eight octets at a time, up to seven of them behind its end. What other
 *  fields have is taken for capitals, too. `i8x16.splat` is 0xfd 15, `sub` 0xfd 0x71, `lt_u` 0xfd 0x26, `any_true` 0xfd 0x53. */
const LOOK_AT_NAMES: readonly number[] = [
  // if the type has names: i64 >> type
  ...[0x42, ...LOWERED_TYPES, 0x20, 6, 0x31, 0, 3, 0x88, 0xa7, 0x41, 1, 0x71, 0x04, 0x40],
  // far = 0; a loop
  ...[0x41, 0, 0x21, 9, 0x03, 0x40],
  // if any of the octets, less 'A', is below 26, return 0
  ...[0x20, 6, 0x20, 9, 0x6a, 0xfd, 10, 0, RECORD_HEADER_OCTETS],
  ...[0x41, ...number13(0x41), 0xfd, 15, 0xfd, 0x71, 0x41, 26, 0xfd, 15, 0xfd, 0x26, 0xfd, 0x53],
  ...[0x04, 0x40, 0x41, 0, 0x0f, 0x0b],
  // again if (far += 8) < octets
  ...[0x20, 9, 0x41, 8, 0x6a, 0x22, 9, 0x20, 8, 0x49, 0x0d, 0, 0x0b, 0x0b],
]

/** Returns 0 where the record's signer is not the apex. `ne` is 0xfd 0x24, `bitmask` 0xfd 0x64. */
const LOOK_AT_SIGNER: readonly number[] = [
  // far = 0; a loop
  ...[0x41, 0, 0x21, 9, 0x03, 0x40],
  // same = ctz(bits of octets that differ | 1 << 16)
  ...[0x20, 6, 0x20, 9, 0x6a, 0xfd, 0, 0, RECORD_HEADER_OCTETS + RRSIG_FIXED_OCTETS],
  ...[0x20, 9, 0xfd, 0, 0, ...number13(APEX_AT), 0xfd, 0x24, 0xfd, 0x64],
  ...[0x41, 0x80, 0x80, 4, 0x72, 0x68, 0x22, 10],
  // far += same; again if same = 16 and far < apexOctets
  ...[0x20, 9, 0x6a, 0x21, 9, 0x20, 10, 0x41, VECTOR_OCTETS, 0x46],
  ...[0x20, 9, 0x20, 2, 0x49, 0x71, 0x0d, 0, 0x0b],
  // if far < apexOctets, return 0
  ...[0x20, 9, 0x20, 2, 0x49, 0x04, 0x40, 0x41, 0, 0x0f, 0x0b],
]

/** Writes what is wanted of RRsets, if it is `what`; `only` is a comparison of their types, `look` what looks at a record. */
function sweep(what: number, only: readonly number[], look: readonly number[]): readonly number[] {
  return [
    // if (wanted & what), next = at; a loop over RRsets while next < end
    ...[0x20, 5, 0x41, what, 0x71, 0x04, 0x40, 0x20, 3, 0x21, 12],
    ...[0x03, 0x40, 0x20, 12, 0x20, 4, 0x49, 0x04, 0x40],
    // of that type
    ...(only.length === 0 ? [0x41, 1] : [...u16At(12, 0), 0x41, TYPE.RRSIG, ...only]),
    // from = next + 10; behind = from + u16[next + 6]; next = behind + u16[next + 8]
    ...[0x20, 12, 0x41, RRSET_HEADER_OCTETS, 0x6a, 0x22, 6, ...u16At(12, 6), 0x6a, 0x22, 7],
    ...[...u16At(12, 8), 0x6a, 0x21, 12],
    // signatures: from = behind, behind = next
    ...(what === SIGNATURES ? [0x20, 7, 0x21, 6, 0x20, 12, 0x21, 7] : []),
    // if of that type and from < behind, a loop over records: octets = u16[from + 10]
    ...[0x20, 6, 0x20, 7, 0x49, 0x71, 0x04, 0x40, 0x03, 0x40, ...u16At(6, 10), 0x21, 8],
    // if (wanted & LOOK)
    ...(look.length === 0 ? [] : [0x20, 5, 0x41, LOOK, 0x71, 0x04, 0x40, ...look, 0x0b]),
    // the owner; to += ownerOctets
    ...[...copyLoop(0, 1, 0, 11), 0x20, 0, 0x20, 11, 0x6a, 0x21, 0],
    // octets += 10; the record; to += octets
    ...[0x20, 8, 0x41, 10, 0x6a, 0x21, 8, ...copyLoop(0, 6, POINTER_OCTETS, 8)],
    ...[0x20, 0, 0x20, 8, 0x6a, 0x21, 0],
    // from += octets + 2; again if from < behind
    ...[0x20, 6, 0x20, 8, 0x6a, 0x41, 2, 0x6a, 0x22, 6, 0x20, 7, 0x49, 0x0d, 0, 0x0b, 0x0b],
    // again
    ...[0x0c, 1, 0x0b, 0x0b, 0x0b],
  ]
}

/** The function, in the instructions of WebAssembly 2.0 §5.4: `local.get` is 0x20, `local.set` 0x21, `local.tee` 0x22,
 *  `i32.const` 0x41, `i32.add` 0x6a, `i32.lt_u` 0x49, `v128.load` 0xfd 0, `v128.store` 0xfd 11. Locals 0 to 5 are the parameters,
 *  1 soon where the owner begins; 6 and 7 where the record at hand begins and its like of the RRset end, 8 octets of its RDATA
 *  and then all of its own, 9 and 10 are for loops, 11 is octets of the owner, 12 the RRset at hand. */
const CODE: readonly number[] = [
  // Seven more locals, i32.
  ...[1, 7, 0x7f],
  // ownerOctets = labels + apexOctets; owner = APEX_AT - labels
  ...[0x20, 1, 0x20, 2, 0x6a, 0x21, 11, 0x41, ...number13(APEX_AT), 0x20, 1, 0x6b, 0x21, 1],
  ...sweep(BELOW, [0x49], LOOK_AT_NAMES),
  ...sweep(SIGNATURES, [], LOOK_AT_SIGNER),
  // `i32.gt_u`
  ...sweep(ABOVE, [0x4b], []),
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
  ...[10, ...number13(CODE.length + 3), 1, ...number13(CODE.length), ...CODE],
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
  const pages = Math.ceil((length + OVERRUN_OCTETS) / PAGE_OCTETS)
  const memory = new Memory({ initial: pages, maximum: pages })
  const { exports } = new Instance(new Module(MODULE), { m: { m: memory } })
  return { octets: new Uint8Array(memory.buffer), own: exports.f }
}

/** I1. It does not look: with LOOK, it returns 0. */
export function plainMemory(length: number): OwnerMemory {
  const octets = new Uint8Array(length)
  const own: OwnerMemory['own'] = (start, labels, apexOctets, first, end, wanted) => {
    if ((wanted & LOOK) !== 0) return 0
    const ownerEnd = APEX_AT + apexOctets
    let to = start
    for (const what of [BELOW, SIGNATURES, ABOVE]) {
      for (let at = first; at < end && (wanted & what) !== 0; ) {
        const data = at + RRSET_HEADER_OCTETS
        const signatures = data + u16(octets, at + 6)
        const isBelow = u16(octets, at) < TYPE.RRSIG
        at = nextRRsetAt(octets, at)
        if (what === SIGNATURES) to = ownAll(octets, to, APEX_AT - labels, ownerEnd, signatures, at)
        else if (isBelow === (what === BELOW))
          to = ownAll(octets, to, APEX_AT - labels, ownerEnd, data, signatures)
      }
    }
    return to
  }
  return { octets, own }
}

/** Writes the records octets[first .. end), each with the owner, to `start` and on. */
function ownAll(
  octets: Uint8Array,
  start: number,
  owner: number,
  ownerEnd: number,
  first: number,
  end: number,
): number {
  let to = start
  for (let at = first; at < end; ) {
    const next = at + RECORD_HEADER_OCTETS + u16(octets, at + 10)
    octets.copyWithin(to, owner, ownerEnd)
    to += ownerEnd - owner
    octets.copyWithin(to, at + POINTER_OCTETS, next)
    to += next - at - POINTER_OCTETS
    at = next
  }
  return to
}
