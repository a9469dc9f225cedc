/** What a disk holds after a loss of power, from the system calls of those who wrote to it: what was synced, and of the
 *  rest anything or nothing.
 *
 *    write ──▶ pending ──fsync of the file, or O_DSYNC──▶ durable        of a file's octets
 *    create, link, rename, unlink ──▶ pending ──fsync of the directory──▶ durable        of names
 *
 *  I1  A sync makes durable what was written before it began, once it has ended. File systems that keep more than POSIX
 *      promises (a new file's name with its fsync) are not relied on.
 *  I2  The directory the model is made for is there already; below it nothing is. Files for locks are left out: after a
 *      restart of the machine nobody holds them. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import type { TracedCall, TraceEvent } from './trace.ts'

interface Write {
  readonly at: number
  readonly octets: Buffer
}

interface FileNode {
  readonly kind: 'file'
  durable: Buffer
  pending: Write[]
}

type DiskNode = FileNode | { readonly kind: 'directory' }

/** Names that change together, in one directory or two. */
interface NameChange {
  readonly names: readonly (readonly [path: string, node: DiskNode | undefined])[]
}

interface Sync {
  readonly writes: readonly Write[]
  readonly changes: readonly NameChange[]
}

const LOCK = /(^|\/|-)lock$/

export class DiskModel {
  /** Writes to a file opened with O_DSYNC that began while others of the same file were pending. */
  readonly early: string[] = []
  /** Of those that did not. */
  inOrder = 0
  readonly #root: string
  readonly #now = new Map<string, DiskNode>()
  readonly #durable = new Map<string, DiskNode>()
  #changes: NameChange[] = []
  readonly #positions = new Map<number, number>()
  readonly #synchronous = new Set<number>()
  readonly #syncs = new Map<TracedCall, Sync>()

  constructor(root: string) {
    this.#root = root
  }

  /** @throws Error for a call that the model does not know and that changes a file */
  take({ at, call }: TraceEvent): void {
    if (call.result < 0) return
    if (at === 'begin') this.#begin(call)
    else this.#end(call)
  }

  #begin(call: TracedCall): void {
    if (call.name === 'fsync' || call.name === 'fdatasync') {
      const node = this.#now.get(call.path)
      const changes = this.#changes.filter(({ names }) => names.some(([path]) => dirname(path) === call.path))
      this.#syncs.set(call, { writes: node?.kind === 'file' ? [...node.pending] : [], changes })
    }
    if (call.name === 'pwrite64' && this.#synchronous.has(call.descriptor)) this.#checkOrder(call)
  }

  /** LMDB's meta page refers to pages that must be durable before. */
  #checkOrder(call: TracedCall): void {
    const node = this.#now.get(call.path)
    if (node?.kind !== 'file') return
    if (node.pending.length > 0) this.early.push(`${call.path} at ${offsetOf(call)}`)
    else this.inOrder++
  }

  #end(call: TracedCall): void {
    switch (call.name) {
      case 'openat':
        return this.#opened(call)
      case 'mkdir':
        return this.#change([[call.strings[0]!.toString(), { kind: 'directory' }]])
      case 'link':
      case 'rename':
        return this.#named(call)
      case 'unlink':
        return this.#change([[call.strings[0]!.toString(), undefined]])
      case 'lseek':
        return void this.#positions.set(call.descriptor, call.result)
      case 'write':
      case 'writev':
        return this.#wrote(call, this.#positions.get(call.descriptor) ?? 0)
      case 'pwrite64':
        return this.#wrote(call, offsetOf(call))
      case 'fsync':
      case 'fdatasync':
        return this.#synced(call)
      default:
        if (this.#now.has(call.path)) throw new Error(`the model does not know ${call.name} of ${call.path}`)
    }
  }

  #opened(call: TracedCall): void {
    this.#positions.set(call.descriptor, 0)
    if (/\bO_DSYNC\b/.test(call.text)) this.#synchronous.add(call.descriptor)
    else this.#synchronous.delete(call.descriptor)
    const created = /\bO_CREAT\b/.test(call.text) && !LOCK.test(call.path) && !this.#now.has(call.path)
    if (created) this.#change([[call.path, { kind: 'file', durable: Buffer.alloc(0), pending: [] }]])
  }

  #named(call: TracedCall): void {
    const [from, to] = call.strings.map(String) as [string, string]
    const node = this.#now.get(from)
    if (node === undefined) return
    this.#change(
      call.name === 'link'
        ? [[to, node]]
        : [
            [from, undefined],
            [to, node],
          ],
    )
  }

  /** Changes of names elsewhere are of no interest. */
  #change(names: NameChange['names']): void {
    if (!names.some(([path]) => isBelow(path, this.#root))) return
    apply(names, this.#now)
    this.#changes.push({ names })
  }

  #wrote(call: TracedCall, at: number): void {
    const octets = Buffer.concat(call.strings).subarray(0, call.result)
    this.#positions.set(call.descriptor, at + octets.length)
    const node = this.#now.get(call.path)
    if (node?.kind !== 'file') return
    if (this.#synchronous.has(call.descriptor)) node.durable = written(node.durable, { at, octets })
    else node.pending.push({ at, octets })
  }

  #synced(call: TracedCall): void {
    const { writes, changes } = this.#syncs.get(call)!
    this.#syncs.delete(call)
    const node = this.#now.get(call.path)
    if (node?.kind === 'file') {
      for (const write of writes) node.durable = written(node.durable, write)
      node.pending = node.pending.filter(write => !writes.includes(write))
    }
    for (const { names } of changes) apply(names, this.#durable)
    this.#changes = this.#changes.filter(change => !changes.includes(change))
  }

  /** Writes what is left into a new directory: all that is durable, and of what is pending what `keep` says, once for
   *  each write and each change of names. */
  image(directory: string, keep: () => boolean): void {
    const names = new Map(this.#durable)
    for (const change of this.#changes) if (keep()) apply(change.names, names)
    mkdirSync(directory)
    const paths = [...names.keys()].sort()
    for (const path of paths.filter(one => isReachable(one, names, this.#root))) {
      const node = names.get(path)!
      const to = join(directory, relative(this.#root, path))
      if (node.kind === 'directory') mkdirSync(to)
      else writeFileSync(to, node.pending.filter(keep).reduce(written, node.durable), { mode: 0o600 })
    }
  }
}

function apply(names: NameChange['names'], to: Map<string, DiskNode>): void {
  for (const [path, node] of names) {
    if (node === undefined) to.delete(path)
    else to.set(path, node)
  }
}

/** All directories above it are there. */
function isReachable(path: string, names: ReadonlyMap<string, DiskNode>, root: string): boolean {
  const above = dirname(path)
  return above === root || (names.has(above) && isReachable(above, names, root))
}

function isBelow(path: string, root: string): boolean {
  return path.startsWith(`${root}/`)
}

function offsetOf(call: TracedCall): number {
  return Number(/, (\d+)$/.exec(call.text)![1])
}

function written(file: Buffer, { at, octets }: Write): Buffer {
  const longer = Buffer.alloc(Math.max(file.length, at + octets.length))
  file.copy(longer)
  octets.copy(longer, at)
  return longer
}
