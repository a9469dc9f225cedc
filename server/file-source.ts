/** One zone file of a nameserver: its readings, and what became of each.
 *  I1  One reading is under way; of those that come meanwhile only the newest is taken.
 *  I2  A reading that fails leaves the zone as it is served.
 *  I3  A version that loses more than half of its names waits for a second stable reading with the same content. */
import { type Clock, ConclaveError, type Logger, letGo } from '../base/index.ts'
import { type Fault, type Name, nameToText, type Store, type ZoneContent } from '../zones/index.ts'
import { type Effort, LINE_OCTETS } from './effort.ts'
import { contentOfFile, digestOf } from './file-content.ts'
import { type Copies, FileText } from './file-text.ts'
import type { RefusedEvent } from './nameserver-types.ts'
import { type Refusal, refusalOfError } from './refusal.ts'
import type { Slots } from './slots.ts'
import type { SourceWatcher } from './watch.ts'
import type { StableRead } from './watch-read.ts'
import type { ZoneLife } from './zone-life.ts'
import type { ZoneOutcome, ZoneSettings } from './zone-life-types.ts'

/** Whoever has the zones of files. */
export interface ZoneOwner {
  /** The life of the zone of that name, which this path may own.
   *  @throws ConclaveError ZONE_TWICE */
  lifeOf(apex: Name, path: string, settings: ZoneSettings): ZoneLife
  /** The source of the zone of that name; undefined when the server has none. */
  knows(apex: Name): string | undefined
  /** The file is of another zone now, and this one was never served. */
  abandon(life: ZoneLife): void
  /** The file of a served zone has gone. */
  lost(life: ZoneLife, path: string): void
  /** A file gave no version. */
  refused(source: string, refusal: Refusal, life?: ZoneLife): void
}

/** What all zone files share. */
export interface FileSourcesContext {
  readonly owner: ZoneOwner
  readonly store: Store
  readonly clock: Clock
  readonly log: Logger
  readonly effort: Effort
  readonly watcher: SourceWatcher | undefined
  readonly slots: Slots
  readonly copies: Copies
  closed: boolean
}

/** Zones smaller than this may shrink as they like: halving a handful of names is an ordinary edit. */
const GUARDED_NAMES = 20
/** A file takes one slot, and one more for each MiB. */
const SLOT_OCTETS: number = 1 << 20

type Waiting = readonly ((outcome: ZoneOutcome) => void)[]
const NOBODY: Waiting = []

export class FileSource {
  readonly path: string
  /** For the zone in it. */
  settings: ZoneSettings
  origin: Name | undefined = undefined
  /** Added by itself, not found in its directory. */
  named = false
  readonly #files: FileSourcesContext
  #life: ZoneLife | undefined = undefined
  /** Of a large file. */
  #text: FileText | undefined = undefined
  #newest: StableRead | undefined = undefined
  #reading: Promise<void> | undefined = undefined
  /** Digest of content that loses more than half of the names, once seen (I3). */
  #doubted: string | undefined = undefined
  #lastRefusal: Refusal | undefined = undefined
  #forgotten = false
  /** Whoever waits for the next outcome. */
  #waiting: Waiting = NOBODY

  constructor(files: FileSourcesContext, path: string, settings: ZoneSettings) {
    this.#files = files
    this.path = path
    this.settings = settings
  }

  /** Undefined: it has given no zone so far. */
  get life(): ZoneLife | undefined {
    return this.#life
  }

  /** Why it has given no zone so far. */
  get refused(): RefusedEvent | undefined {
    if (this.#lastRefusal === undefined || this.#life !== undefined) return undefined
    return { source: this.path, refusal: this.#lastRefusal }
  }

  /** The next one. */
  outcome(): Promise<ZoneOutcome> {
    return new Promise(resolve => {
      this.#waiting = [...this.#waiting, resolve]
    })
  }

  take(read: StableRead): void {
    this.#newest = read
    if (this.#life !== undefined) this.#life.sourceGone = false
    const records = read.octets.length / LINE_OCTETS
    this.#reading ??= this.#files.effort.during(records, () => this.#readAll())
  }

  /** `missing`: this file, or one that it includes. */
  gone(missing: string): void {
    if (this.#life !== undefined && missing === this.path) {
      this.#life.sourceGone = this.named ? 'kept' : 'free'
      this.#files.owner.lost(this.#life, this.path)
      this.#settle({ kind: 'unchanged' })
      return
    }
    // The refusal that stands has the place of the $INCLUDE, if it is not about something else: either says more.
    if (missing !== this.path && this.#lastRefusal !== undefined) return
    const error = new ConclaveError('SOURCE_GONE', 'the file is not there', {
      place: { file: missing },
      remedy: 'Put it back; it is read as soon as it appears.',
    })
    this.failed(error)
  }

  failed(error: unknown): void {
    if (!(error instanceof ConclaveError)) {
      this.#files.log.error('a zone file could not be taken in', { file: this.path, error })
    }
    const refusal = refusalOfError(error, this.#files.clock.now(), this.path)
    const faults = refusal.faults.map(fault => ({ ...fault, place: { file: this.path, ...fault.place } }))
    this.#settle(this.#refuse({ ...refusal, faults }))
  }

  /** Nobody follows it any more. */
  forget(): void {
    this.#forgotten = true
    this.#settle({ kind: 'unchanged' })
    if (this.#reading === undefined) this.#text?.close()
  }

  /** All files are closed. */
  async close(): Promise<void> {
    await this.#reading
    this.#settle({ kind: 'unchanged' })
    this.#text?.close()
  }

  #settle(outcome: ZoneOutcome): void {
    const waiting = this.#waiting
    this.#waiting = NOBODY
    for (const resolve of waiting) resolve(outcome)
  }

  async #readAll(): Promise<void> {
    while (this.#newest !== undefined && !this.#files.closed && !this.#forgotten) {
      await this.#readNewest(1 + Math.floor(this.#newest.octets.length / SLOT_OCTETS))
      if (this.#newest === undefined && !this.#files.closed && !this.#forgotten) await this.#text?.keep()
    }
    if (this.#forgotten) this.#text?.close()
    // In the same turn as the test above, so that what comes next starts another reading.
    this.#reading = undefined
  }

  async #readNewest(units: number): Promise<void> {
    const { slots } = this.#files
    await slots.take(units)
    try {
      const read = this.#newest
      if (read === undefined || this.#files.closed || this.#forgotten) return
      this.#newest = undefined
      const outcome = await this.#read(read)
      if (outcome !== undefined && this.#newest === undefined) this.#settle(outcome)
    } catch (error) {
      this.failed(error)
    } finally {
      slots.give(units)
    }
  }

  /** Undefined: the content waits for a second reading. */
  async #read(read: StableRead): Promise<ZoneOutcome | undefined> {
    const quick = this.#text === undefined ? undefined : await this.#readEdit(read, this.#text)
    if (quick !== undefined) return quick
    const { origin } = this
    const found = contentOfFile(this.#files.store, read, origin)
    const { outcome, includes, parts } = found instanceof Promise ? await found : found
    this.#files.watcher?.setDependencies(this.path, includes)
    if (outcome.kind === 'faults') {
      return this.#refuse(faultsRefusal(outcome.faults, this.#files.clock.now()))
    }
    const published = await this.#publish(outcome.content, () => digestOf([read, ...includes]))
    if (published === undefined || published.kind === 'refused') return published
    if (parts === undefined) this.#text?.close()
    else {
      this.#text ??= new FileText(this.#files.copies)
      this.#text.note(this.#life!, read, parts, origin)
    }
    return published
  }

  /** Undefined: the text has to be read whole. */
  async #readEdit(read: StableRead, text: FileText): Promise<ZoneOutcome | undefined> {
    const { path, origin } = this
    const life = this.#life
    if (life === undefined || this.#files.owner.knows(life.apex) !== path) return undefined
    const outcome = await text.publish(life, read, origin, 'file changed')
    if (outcome === undefined) return undefined
    this.#files.log.debug('a zone file was read where it differs', { file: path })
    letGo(read.octets)
    this.#doubted = undefined
    this.#lastRefusal = undefined
    return outcome
  }

  #publish(content: ZoneContent, digest: () => string): Promise<ZoneOutcome> | undefined {
    let life: ZoneLife
    try {
      life = this.#lifeOf(content)
    } catch (error) {
      content.tree.discard()
      throw error
    }
    if (this.#isDoubtful(life, content, digest)) {
      content.tree.discard()
      return undefined
    }
    this.#doubted = undefined
    this.#lastRefusal = undefined
    const reason = life.record === undefined ? 'file read' : 'file changed'
    return life.inTurn(() => life.publishContent(content, reason))
  }

  #lifeOf(content: ZoneContent): ZoneLife {
    const life = this.#life
    const renamed = life !== undefined && this.#files.owner.knows(content.apex) !== this.path
    if (renamed && life.record !== undefined) {
      throw new ConclaveError('ZONE_RENAMED', `the file's SOA is now of ${nameToText(content.apex)}`, {
        place: { file: this.path, zone: life.zone },
        remedy: `Put the new zone into a file of its own; ${life.zone} is served as it was.`,
      })
    }
    // The old name was a mistake that nobody has seen.
    if (renamed) this.#files.owner.abandon(life)
    this.#life = undefined
    this.#life = this.#files.owner.lifeOf(content.apex, this.path, this.settings)
    return this.#life
  }

  #isDoubtful(life: ZoneLife, content: ZoneContent, digestOf: () => string): boolean {
    const before = life.record?.names ?? 0
    if (before < GUARDED_NAMES || content.names >= before / 2 || this.#files.watcher === undefined)
      return false
    const digest = digestOf()
    if (this.#doubted === digest) return false
    this.#doubted = digest
    this.#files.log.warn(
      'a version loses more than half of its names: it waits for a second stable reading',
      {
        zone: life.zone,
        file: this.path,
        namesBefore: before,
        names: content.names,
      },
    )
    this.#files.watcher.reread(this.path)
    return true
  }

  #refuse(refusal: Refusal): ZoneOutcome {
    this.#lastRefusal = refusal
    const life = this.#life
    if (life !== undefined) {
      life.refusedContent = refusal
      life.sourceGone = false
      // It never rejects.
      void life.inTurn(() => life.noteRefusal(refusal))
    }
    this.#files.owner.refused(this.path, refusal, life)
    return { kind: 'refused', refusal }
  }
}

function faultsRefusal(faults: readonly Fault[], atUnix: number): Refusal {
  const errors = faults.filter(fault => fault.severity === 'error')
  const what = errors.length === 1 ? errors[0]!.what : `${errors.length} errors in the zone file`
  return { code: 'ZONE_FAULTS', what, faults, atUnix }
}
