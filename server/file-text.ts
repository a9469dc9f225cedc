/** The text of one zone file, from the first reading on: later texts are read where they differ from it.
 *
 *    whole reading ─served─▶ noted ─keep─▶ copy ◀─served─ edited
 *                                           │ new text      ▲
 *                                           └─▶ difference ─┘ │ none to be had: the text is read whole
 *
 *  I1  The copy is the text of what is served: only a text that was published, or said the same, takes its place.
 *  I2  A failure of any kind leaves things as if there were no copy. */
import { inTurns } from '../base/index.ts'
import { isSignersType } from '../signer/index.ts'
import {
  decodeNode,
  editSteps,
  type Landmarks,
  type Name,
  type Store,
  type TextEdit,
  type TextPart,
  type ZoneContent,
} from '../zones/index.ts'
import { servedNodes } from './program-zone.ts'
import { TextCopy } from './text-copy.ts'
import { textEdits } from './text-edits.ts'
import type { StableRead } from './watch-read.ts'
import type { ZoneLife } from './zone-life.ts'
import type { ZoneOutcome } from './zone-life-types.ts'

/** A smaller text is read whole in a few milliseconds. */
export const KEPT_OCTETS_MIN: number = 64 << 10
/** Each takes an open file, of which many systems allow a process 1024. */
const COPIES_MAX = 256

/** Shared by the files of a nameserver. */
export interface Copies {
  readonly store: Store
  readonly directory: string
  count: number
}

interface Noted {
  readonly source: StableRead
  readonly parts: readonly TextPart[]
  readonly origin: Name | undefined
}

export class FileText {
  readonly #copies: Copies
  #life: ZoneLife | undefined
  #copy: TextCopy | undefined
  #origin: Name | undefined
  /** To be copied. */
  #noted: Noted | undefined

  constructor(copies: Copies) {
    this.#copies = copies
  }

  /** The text was read whole and is served. */
  note(life: ZoneLife, source: StableRead, parts: readonly TextPart[], origin: Name | undefined): void {
    this.close()
    this.#life = life
    this.#noted = { source, parts, origin }
  }

  /** Copies what was noted, when it is not done yet. Never throws. */
  async keep(): Promise<void> {
    const noted = this.#noted
    this.#noted = undefined
    if (noted === undefined || this.#copies.count >= COPIES_MAX) return
    this.#copies.count++
    this.#copy = await TextCopy.of(noted.source, noted.parts, this.#copies.directory)
    this.#origin = noted.origin
    if (this.#copy === undefined) this.#copies.count--
  }

  /** Publishes what the text says otherwise; undefined: it has to be read whole. */
  async publish(
    life: ZoneLife | undefined,
    read: StableRead,
    origin: Name | undefined,
    reason: string,
  ): Promise<ZoneOutcome | undefined> {
    const copy = this.#copy
    if (copy === undefined || life === undefined || this.#life !== life || this.#origin !== origin)
      return undefined
    const edit = await this.#editOf(copy, read, origin)
    const outcome =
      edit === undefined ? undefined : await life.inTurn(() => this.#publishEdit(life, edit, reason))
    if (edit === undefined || outcome === undefined || outcome.kind === 'refused') return outcome
    if (!copy.take(edit)) this.close()
    else if (copy.wasteful) this.#copyAnew(life, read, copy, origin)
    return outcome
  }

  /** When no reading is under way. */
  close(): void {
    this.#noted = undefined
    if (this.#copy === undefined) return
    this.#copy.close()
    this.#copy = undefined
    this.#copies.count--
  }

  async #editOf(
    copy: TextCopy,
    { path, octets }: StableRead,
    origin: Name | undefined,
  ): Promise<TextEdit | undefined> {
    const options = { file: path, ...(origin === undefined ? {} : { origin }) }
    try {
      return await inTurns(editSteps(copy, octets, copy.end, options))
    } catch {
      // The disk: whatever the reason, the text that is there now can be read.
      this.close()
      return undefined
    }
  }

  async #publishEdit(life: ZoneLife, edit: TextEdit, reason: string): Promise<ZoneOutcome | undefined> {
    const { record, removed, apexKey, settings } = life
    const signs = settings.signing !== undefined
    if (removed || record === undefined || (record.signed && !signs)) return undefined
    const nodes = servedNodes(this.#copies.store, record.namesRoot)
    const edits = textEdits(edit, { apexKey, record, nodes, signs })
    return edits === undefined ? undefined : life.publishEdits({ kind: 'some', edits }, reason)
  }

  #copyAnew(life: ZoneLife, read: StableRead, { parts }: TextCopy, origin: Name | undefined): void {
    let at = 0
    const moved = parts.map(part => {
      const start = at
      at += part.octets
      return { ...part, at: start }
    })
    this.note(life, read, moved, origin)
  }
}

/** The parts by which a text can be kept whose content this is; undefined: it cannot. */
export function partsOf(content: ZoneContent, octets: number, landmarks: Landmarks): TextPart[] | undefined {
  const { includes, warnings, presigned, tree } = content
  if (includes.length + warnings.length > 0 || presigned) return undefined
  const apex = tree.get(new Uint8Array(0))
  if (apex === undefined || decodeNode(apex).rrsets.some(({ type }) => isSignersType(type, true)))
    return undefined
  return landmarks.parts(octets, 0, undefined)
}
