/** Looks at LMDB's file before LMDB does. LMDB maps the file and follows the page numbers in it without a doubt, so a file that was cut
 *  off, or overwritten in part, ends the process by SIGBUS or SIGSEGV, at a start or days later. Here every page in use but the octets of values is
 *  read, so that such a file is an error with a place.
 *
 *  The form is that of LMDB's data version 2 with 64-bit little-endian numbers (lmdb.h, mdb.c of the lmdb package); offsets
 *  count from the page's first octet unless said:
 *
 *    page    0 number u64, 8 transaction u64, 18 flags u16, 20 end of the pointers u16 (from 24), 22 start of the nodes u16
 *            (from 24), 24 pointers to nodes u16 (from 24)
 *            an overflow page has at 20 how many pages it takes, u32
 *    node    0 lo u16, 2 hi u16, 4 flags u16, 6 key's size u16, 8 key, then the value
 *            of a branch: child's page = lo | hi << 16 | flags << 32; of a leaf: value's size = lo | hi << 16
 *    tree    6 depth u16, 40 root's page u64, all ones when it is empty
 *    meta    pages 0 and 1: 24 magic u32, 28 version u32, 48 free pages' tree, whose first u32 is the page size, 96 main tree,
 *            144 last page u64, 152 transaction u64; that of the later transaction counts
 *
 *  The file may end before the last page that the meta page counts: pages that a transaction took and gave back were never written. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { ConclaveError, isErrno } from '../base/index.ts'

const PAGE_HEADER = 24
const NODE_HEADER = 8
const TREE_OCTETS = 48
const META_OCTETS = 160
const MAGIC = 0xbeefc0de
const VERSION = 2
const EMPTY = 0xffff_ffff_ffff_ffffn
/** LMDB's CURSOR_STACK. */
const DEPTH_MAX = 32

const PAGE_BRANCH = 1
const PAGE_LEAF = 2
const PAGE_OVERFLOW = 4
const PAGE_META = 8
/** Of the flags of a page, those that say of what kind it is. */
const PAGE_KINDS = 0x2f

const NODE_ELSEWHERE = 1
const NODE_TREE = 2

/** Error of a state database whose octets cannot be what LMDB wrote. */
export function corruptDatabase(file: string, what: string, cause?: unknown): ConclaveError {
  return new ConclaveError('STATE_CORRUPT', `the state database cannot be opened: ${what}`, {
    place: { file },
    cause,
    remedy: 'Restore it from a backup; do not remove it: its last serials and signatures would be lost.',
  })
}

/** Reads the pages in use of a database file; none, an empty one, and one of another data version is LMDB's to judge. A server
 *  may be writing to it meanwhile.
 *  @throws ConclaveError STATE_CORRUPT; the system's errors as they are */
export function checkDatabaseFile(file: string): void {
  let descriptor: number
  try {
    descriptor = openSync(file, 'r')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return
    throw error
  }
  try {
    new PageWalk(descriptor).check()
  } catch (error) {
    if (error instanceof PageFault) throw corruptDatabase(file, error.message)
    throw error
  } finally {
    closeSync(descriptor)
  }
}

class PageFault extends Error {}

interface Meta {
  readonly pageOctets: number
  readonly pages: number
  readonly transaction: bigint
  /** The trees of free pages and of all else. */
  readonly trees: readonly Tree[]
}

interface Tree {
  readonly depth: number
  readonly root: bigint
}

class PageWalk {
  readonly #descriptor: number
  readonly #fileOctets: number
  #meta!: Meta
  /** By page: whether something refers to it. */
  #isReferred = new Uint8Array(0)

  constructor(descriptor: number) {
    this.#descriptor = descriptor
    this.#fileOctets = fstatSync(descriptor).size
  }

  check(): void {
    if (this.#fileOctets === 0) return
    const meta = this.#readMeta()
    if (meta === undefined) return
    this.#meta = meta
    this.#isReferred = new Uint8Array(meta.pages)
    this.#isReferred.fill(1, 0, 2)
    try {
      for (const tree of meta.trees) this.#tree(tree)
    } catch (error) {
      // A page of the version that was newest stays as it is until there is a newer one; after that it may be another.
      if (error instanceof PageFault && this.#readMeta()?.transaction !== meta.transaction) return
      throw error
    }
  }

  #readMeta(): Meta | undefined {
    const first = this.#read(0, META_OCTETS)
    if (first.readUInt32LE(24) !== MAGIC) throw new PageFault('it is not an LMDB database')
    if (first.readUInt32LE(28) !== VERSION) return undefined
    const pageOctets = first.readUInt32LE(48)
    if (![4096, 8192, 16384, 32768, 65536, 2048, 1024, 512].includes(pageOctets))
      throw new PageFault(`its first page says that a page has ${pageOctets} octets`)
    const second = this.#read(pageOctets, META_OCTETS)
    for (const [number, page] of [first, second].entries()) {
      const isMeta = page.readUInt16LE(18) === PAGE_META && page.readUInt32LE(24) === MAGIC
      if (!isMeta || page.readUInt32LE(48) !== pageOctets) throw this.#fault(BigInt(number), pageOctets)
    }
    const newest = first.readBigUInt64LE(152) >= second.readBigUInt64LE(152) ? first : second
    return {
      pageOctets,
      pages: Math.min(Number(newest.readBigUInt64LE(144)) + 1, Math.ceil(this.#fileOctets / pageOctets)),
      transaction: newest.readBigUInt64LE(152),
      trees: [treeAt(newest, 48), treeAt(newest, 96)],
    }
  }

  #tree(tree: Tree): void {
    if (tree.root === EMPTY) return
    if (tree.depth < 1 || tree.depth > DEPTH_MAX)
      throw new PageFault(`a tree in it is ${tree.depth} pages deep`)
    this.#page(tree.root, tree.depth)
  }

  /** A page of a tree, `depth` steps above what lies below its leaves, and all that it refers to. */
  #page(number: bigint, depth: number): void {
    const { pageOctets } = this.#meta
    const page = this.#take(number, depth === 1 ? PAGE_LEAF : PAGE_BRANCH, pageOctets)
    const pointersEnd = PAGE_HEADER + page.readUInt16LE(20)
    const nodesStart = PAGE_HEADER + page.readUInt16LE(22)
    if (pointersEnd > nodesStart || nodesStart > pageOctets || pointersEnd % 2 !== 0)
      throw this.#fault(number)
    for (let pointer = PAGE_HEADER; pointer < pointersEnd; pointer += 2) {
      const node = PAGE_HEADER + page.readUInt16LE(pointer)
      if (node < nodesStart || node + NODE_HEADER > pageOctets) throw this.#fault(number)
      const low = page.readUInt32LE(node)
      const flags = page.readUInt16LE(node + 4)
      const value = node + NODE_HEADER + page.readUInt16LE(node + 6)
      if (depth > 1) {
        if (value > pageOctets) throw this.#fault(number)
        this.#page((BigInt(flags) << 32n) | BigInt(low), depth - 1)
        continue
      }
      const octetsHere = flags === NODE_ELSEWHERE ? 8 : low
      if (value + octetsHere > pageOctets) throw this.#fault(number)
      if (flags === NODE_ELSEWHERE) this.#overflow(page.readBigUInt64LE(value), low)
      else if (flags === NODE_TREE && low === TREE_OCTETS) this.#tree(treeAt(page, value))
      else if (flags !== 0) throw this.#fault(number)
    }
  }

  /** A value that has pages of its own. */
  #overflow(number: bigint, octets: number): void {
    const { pageOctets, pages } = this.#meta
    const count = this.#take(number, PAGE_OVERFLOW, PAGE_HEADER).readUInt32LE(20)
    if (count !== Math.ceil((PAGE_HEADER + octets) / pageOctets)) throw this.#fault(number)
    const end = Number(number) + count
    if (end > pages || Number(number) * pageOctets + PAGE_HEADER + octets > this.#fileOctets)
      throw this.#cutOff(number)
    for (let page = Number(number) + 1; page < end; page++) this.#refer(page)
  }

  /** The first octets of a page to which something refers, and nothing else may. */
  #take(number: bigint, kind: number, octets: number): Buffer {
    const { pageOctets, pages, transaction } = this.#meta
    if (number >= BigInt(pages)) throw this.#cutOff(number)
    this.#refer(Number(number))
    const page = this.#read(Number(number) * pageOctets, octets)
    if (
      page.readBigUInt64LE(0) !== number ||
      page.readBigUInt64LE(8) > transaction ||
      (page.readUInt16LE(18) & PAGE_KINDS) !== kind
    )
      throw this.#fault(number)
    return page
  }

  #refer(page: number): void {
    if (this.#isReferred[page] === 1) throw this.#fault(BigInt(page))
    this.#isReferred[page] = 1
  }

  #read(position: number, octets: number): Buffer {
    const buffer = Buffer.allocUnsafe(octets)
    if (readSync(this.#descriptor, buffer, 0, octets, position) === octets) return buffer
    throw new PageFault(
      `it ends after ${this.#fileOctets} octets, within its octets ${position} to ${position + octets - 1}`,
    )
  }

  #fault(number: bigint, pageOctets = this.#meta.pageOctets): PageFault {
    return new PageFault(
      `its page ${number}, at octet ${number * BigInt(pageOctets)}, is not what LMDB wrote`,
    )
  }

  #cutOff(number: bigint): PageFault {
    return new PageFault(
      `it refers to its page ${number}, and ends before that, after ${this.#fileOctets} octets`,
    )
  }
}

function treeAt(page: Buffer, offset: number): Tree {
  return { depth: page.readUInt16LE(offset + 6), root: page.readBigUInt64LE(offset + 40) }
}
