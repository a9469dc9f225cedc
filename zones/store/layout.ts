/** How the shared store lays out its memory. Everything here is the same in all threads.
 *
 *    arena  = units of 256 octets; unit 0 of the first arena is never used, so that reference 0 means "none"
 *    ref    = arena number << 22 | unit number: always a small integer, never an octet offset
 *    page   = header, slots upwards, free room, heap downwards, prefix at the very end
 *    header = count:u16 kind:u8 units:u8 | heapStart:u16 prefixLength:u16 | garbage:u16 stampHigh:u16 | stampLow:u32
 *    leaf slot   = head:i32 word:i32             word = offset:12 | suffixLength:9 << 12 | valueField:11 << 21
 *    branch slot = head:i32 word:i32 child:i32   (valueField is 0)
 *    leaf cell   = key suffix behind its head, then the value or, when valueField is OVERFLOW, a descriptor:
 *                  ref:u32 octets:u32 stampHigh:u16 stampLow:u32, big-endian
 *
 *  I1  The prefix is common to all keys of the page; a suffix is what follows it. The head is the first four octets
 *      of the suffix, zero-padded, as a big-endian integer with its top bit flipped, so that signed comparison of
 *      heads is the octets' order. The cell keeps only what follows the head.
 *  I2  Keys ascend strictly. The key of a branch's slot 0 is not looked at: it stands for "everything smaller". The
 *      key of slot n is greater than every key under slot n − 1 and not greater than any under slot n.
 *  I3  The stamp of a page or overflow extent is that of the draft that made it: only this draft changes it in place,
 *      and every version that shows it is greater than the stamp.
 *  I4  A page has 16 units, but a leaf may have fewer: one that is the whole tree, and one that ascending keys have filled. */

export const UNIT_OCTETS = 256
export const UNIT_OCTETS_SHIFT = 8
export const UNIT_WORDS_SHIFT = 6
/** 2^22 units of 256 octets are 1 GiB: octet offsets stay small integers. */
export const ARENA_UNITS_SHIFT = 22
export const ARENA_UNITS: number = 1 << ARENA_UNITS_SHIFT
export const UNIT_MASK: number = ARENA_UNITS - 1
export const ARENA_OCTETS: number = ARENA_UNITS * UNIT_OCTETS

export const PAGE_OCTETS = 4096
export const PAGE_UNITS: number = PAGE_OCTETS / UNIT_OCTETS
export const HEADER_WORDS = 4
export const HEADER_OCTETS = 16
export const LEAF = 1
export const BRANCH = 2
export const LEAF_SLOT_OCTETS = 8
export const BRANCH_SLOT_OCTETS = 12

/** Longer values get an extent of their own: four cells, and so a sound split, always fit a page. */
export const INLINE_VALUE_OCTETS_MAX = 1000
/** The value field of a cell whose value is elsewhere; inline lengths stay below. */
export const OVERFLOW = 2047
export const OVERFLOW_OCTETS = 14

/** A branch of the longest separators (506 octets behind the head) still holds 7; halves hold 3: 3^23 leaves. */
export const DEPTH_MAX = 24

/** Words of the control block. A version's catalogue root is in the ring at the version's lowest bit. */
export const CONTROL_VERSION = 0
export const CONTROL_ROOTS = 1
export const CONTROL_GROWTHS = 3
export const CONTROL_READERS_MAX = 4
/** One cache line per reader: the announced version's low 32 bits (0: none), then whether the slot is taken. */
export const CONTROL_READERS = 16
export const READER_WORDS = 16
