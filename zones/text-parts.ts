/** A zone file's text in parts, so that a new text of the same file costs what differs from the old one.
 *
 *    old   │ part │ part │ part │ part │      each begins at a landmark: at a line with an owner of its own (zonefile.ts)
 *    new   │ part │ other text  │ part │      the records of the other text are read, old and new, and nothing else
 *
 *  I1  Reading is a function of octets and LineContext: parts with the same octets that begin in the same context hold
 *      the same records. Where a change makes the context of what follows another, all has to be read.
 *  I2  The answer is exact or none: whatever is not plain (a fault, a warning, an include, text that moved, a large
 *      change) is left to the reading of the whole text, which has places and words for it. */

import type { Steps } from '../base/index.ts'
import { asName, type Name, nameToText, rootName } from './name.ts'
import { type LineContext, type ParseOptions, parseZone, type RecordSink } from './zonefile.ts'

export interface TextPart {
  /** Where it was put when the text was kept. */
  readonly at: number
  readonly octets: number
  /** Undefined at the start of the text. */
  readonly context: LineContext | undefined
}

/** A text that was read whole, without a fault, a warning or an include. */
export interface KeptText {
  readonly parts: readonly TextPart[]
  /** The part's octets, good until the next call. */
  read(part: TextPart): Uint8Array
}

export interface TextRecord {
  readonly owner: Name
  readonly type: number
  readonly ttl: number
  readonly rdata: Uint8Array
}

/** What a new text says otherwise. Records of changed parts that stayed are in both lists. */
export interface TextEdit {
  readonly before: readonly TextRecord[]
  readonly after: readonly TextRecord[]
  /** Of the new text, when `added` has been put, end to end, at the place that was given. */
  readonly parts: readonly TextPart[]
  readonly added: readonly Uint8Array[]
}

/** Notes landmarks of a text while it is read for the first time. */
export class Landmarks {
  readonly #found: { readonly at: number; readonly context: LineContext | undefined }[] = []

  readonly note = (at: number, context: LineContext): void => {
    if (at > 0) this.#found.push({ at, context })
  }

  /** Parts of the text, which is put at `place`; `first` is the context of its start. */
  parts(octets: number, place: number, first: LineContext | undefined): TextPart[] {
    const starts = [{ at: 0, context: first }, ...this.#found]
    return starts.map(({ at, context }, index) => {
      return { at: place + at, octets: (starts[index + 1]?.at ?? octets) - at, context }
    })
  }
}

/** Beyond this of changed text, old and new, reading in steps with others' turns between them is better. */
const CHANGED_OCTETS_MAX: number = 512 << 10
/** How many parts in a row may have changed before the text is taken for another. */
const CHANGED_PARTS_MAX = 8
/** How far a part is looked for beyond where it was. */
const MOVED_OCTETS_MAX: number = 256 << 10
const PARTS_A_STEP = 128
const LINE_FEED = 0x0a
/** Its first octet. */
const BYTE_ORDER_MARK = 0xef

/** Undefined: the whole text has to be read (I2). `place` is where text is put that is new. */
export function* editSteps(
  kept: KeptText,
  text: Uint8Array,
  place: number,
  options: ParseOptions,
): Steps<TextEdit | undefined> {
  const changes = yield* changesOf(kept, text)
  if (changes === undefined) return undefined
  const before: TextRecord[] = []
  const after: TextRecord[] = []
  const parts: TextPart[] = []
  const added: Uint8Array[] = []
  let from = 0
  let putAt = place
  for (const change of changes) {
    for (; from < change.from; from++) parts.push(kept.parts[from]!)
    from = change.to
    const context = kept.parts[change.from]!.context
    const octets = text.subarray(change.start, change.end)
    const old = recordsOf(oldOctets(kept, change), options, context, before)
    const now = recordsOf(octets, options, context, after)
    if (old === undefined || now === undefined) return undefined
    if (change.to < kept.parts.length && !isSameContext(old.after, now.after)) return undefined
    if (octets.length > 0) parts.push(...now.landmarks.parts(octets.length, putAt, context))
    added.push(octets)
    putAt += octets.length
    yield
  }
  for (; from < kept.parts.length; from++) parts.push(kept.parts[from]!)
  return { before, after, parts, added }
}

/** Old parts `from` up to `to`, instead of which the new text has the octets from `start` to `end`. */
interface TextChange {
  readonly from: number
  readonly to: number
  readonly start: number
  readonly end: number
}

function* changesOf(kept: KeptText, text: Uint8Array): Steps<TextChange[] | undefined> {
  const { parts } = kept
  const changes: TextChange[] = []
  let changed = 0
  let at = 0
  for (let index = 0; index < parts.length; ) {
    if (index % PARTS_A_STEP === PARTS_A_STEP - 1) yield
    if (isHere(kept, index, text, at)) {
      at += parts[index++]!.octets
      continue
    }
    const change = changeAt(kept, index, text, at)
    if (change === undefined) return undefined
    changes.push(change)
    for (; index < change.to; index++) changed += parts[index]!.octets
    changed += change.end - change.start
    if (changed > CHANGED_OCTETS_MAX) return undefined
    at = change.end
  }
  return changes
}

/** The last part is only the same when nothing follows it. */
function isHere(kept: KeptText, index: number, text: Uint8Array, at: number): boolean {
  const part = kept.parts[index]!
  const end = at + part.octets
  if (index === kept.parts.length - 1 ? end !== text.length : end > text.length) return false
  return Buffer.compare(kept.read(part), text.subarray(at, end)) === 0
}

/** The part is not at its place: up to the next one that is found, all is new. */
function changeAt(kept: KeptText, from: number, text: Uint8Array, start: number): TextChange | undefined {
  const { parts } = kept
  let octets = parts[from]!.octets
  for (let to = from + 1; to < parts.length && to - from <= CHANGED_PARTS_MAX; to++) {
    const near = text.subarray(0, start + octets + MOVED_OCTETS_MAX + parts[to]!.octets)
    const end = Buffer.from(near.buffer, near.byteOffset, near.length).indexOf(kept.read(parts[to]!), start)
    octets += parts[to]!.octets
    // In the middle of a line it would be another text, whatever its octets.
    const whole = end >= 0 && (end === start || text[end - 1] === LINE_FEED)
    if (whole && (to < parts.length - 1 || end + parts[to]!.octets === text.length))
      return { from, to, start, end }
  }
  if (parts.length - from > CHANGED_PARTS_MAX) return undefined
  return { from, to: parts.length, start, end: text.length }
}

function oldOctets(kept: KeptText, { from, to }: TextChange): Uint8Array {
  return Buffer.concat(kept.parts.slice(from, to).map(part => kept.read(part).slice()))
}

/** Adds the records of a piece of text; undefined when it is not plain. */
function recordsOf(
  octets: Uint8Array,
  { file, origin, landmarkOctets }: ParseOptions,
  context: LineContext | undefined,
  records: TextRecord[],
): { after: LineContext; landmarks: Landmarks } | undefined {
  // Only the start of a file may have a byte order mark.
  if (context !== undefined && octets[0] === BYTE_ORDER_MARK) return undefined
  const landmarks = new Landmarks()
  let last: Name = rootName
  const sink: RecordSink = {
    record(owner, newOwner, type, ttl, rdata, start, end) {
      if (newOwner) last = asName(owner.slice())
      records.push({ owner: last, type, ttl, rdata: rdata.slice(start, end) })
    },
  }
  const { errors, warnings, after } = parseZone(
    octets,
    {
      file,
      ...(origin === undefined ? {} : { origin }),
      ...(context === undefined ? {} : { context }),
      ...(landmarkOctets === undefined ? {} : { landmarkOctets }),
      onLandmark: landmarks.note,
    },
    sink,
  )
  return errors.length + warnings.length > 0 ? undefined : { after, landmarks }
}

function isSameContext(a: LineContext, b: LineContext): boolean {
  if (a.ttlDefault !== b.ttlDefault || a.generated !== b.generated) return false
  // With a default nobody asks for the last one.
  if (a.ttlDefault < 0 && a.ttlLast !== b.ttlLast) return false
  if (a.origin === undefined || b.origin === undefined) return a.origin === b.origin
  return nameToText(a.origin) === nameToText(b.origin)
}
