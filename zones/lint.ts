/** Lint of a zone: one walk over its names tree, in canonical order, so that what lies below a cut or a DNAME follows it.
 *  Rules about single records and texts (duplicates, TTLs, owners outside) are told while content is built; here are
 *  those about names, and about names that records point at. Codes and severities: rules.ts.
 *  I1  Each fault names its record; `locateFaults` adds file and line by going through the text once more, which costs
 *      nothing where there is no fault. */

import { atOnce, type Place, type Steps } from '../base/index.ts'
import { type Fault, FaultList } from './fault.ts'
import {
  HAS_CNAME,
  HAS_DENIAL,
  HAS_DNAME,
  HAS_HOSTS,
  HAS_NO_GLUE,
  HAS_NS,
  HAS_NSEC,
  HAS_SIGNATURES,
  HAS_SOA,
  HAS_TWO_SOA,
  lintAliases,
  lintBitmap,
  lintDelegation,
  nodeBits,
  type ReportType,
} from './lint-node.ts'
import { TargetLint } from './lint-target.ts'
import { type Name, nameOfKey, nameToText } from './name.ts'
import { faultOf, type RuleCode } from './rules.ts'
import { scratchOctets } from './scratch.ts'
import type { TreeCursor } from './store/cursor.ts'
import { typeToText } from './types.ts'

/** What lint looks at: content, or a version built from it. */
export interface LintedZone {
  readonly apex: Name
  readonly namesRoot: number
}

export interface LintOptions {
  /** Leaves out what only warnings come from: for the way to publishing, where time counts. */
  readonly errorsOnly?: boolean
}

/** All faults of the zone's data, errors first, as many as are kept. `newCursor` gives cursors that can read the tree. */
export function lint(newCursor: () => TreeCursor, zone: LintedZone, options: LintOptions = {}): Fault[] {
  return atOnce(lintSteps(newCursor, zone, options))
}

/** The same in steps; meanwhile the tree must not change. */
export function lintSteps(
  newCursor: () => TreeCursor,
  zone: LintedZone,
  options: LintOptions,
): Steps<Fault[]> {
  return new ZoneLint(newCursor, zone, options).walk()
}

const NAMES_A_STEP = 2048
const ONLY_NSEC3 = HAS_DENIAL | HAS_NO_GLUE

class ZoneLint {
  readonly #cursor: TreeCursor
  readonly #zone: LintedZone
  readonly #options: LintOptions
  readonly #faults = new FaultList()
  /** Undefined where only errors are wanted. */
  readonly #targets: TargetLint | undefined
  /** Key of the zone cut or DNAME below which the walk is; −1 when below none. */
  #coverOctets = -1
  readonly #coverKey = scratchOctets(512)
  #coverIsCut = false
  /** The first record that only signed zones have, while no RRSIG was seen. */
  #denialAt: Place | undefined = undefined
  #signed = false
  readonly #report: ReportType = (rule, type, what) => this.#fault(rule, type, what)

  constructor(newCursor: () => TreeCursor, zone: LintedZone, options: LintOptions) {
    this.#cursor = newCursor()
    this.#zone = zone
    this.#options = options
    this.#targets = options.errorsOnly === true ? undefined : new TargetLint(newCursor(), zone, this.#report)
  }

  *walk(): Steps<Fault[]> {
    const cursor = this.#cursor
    let steps = 0
    let more = cursor.seekFirst(this.#zone.namesRoot)
    this.#apex(more && cursor.keyLength === 0 ? nodeBits(cursor.bytes, cursor.valueStart) : 0)
    for (; more; more = cursor.next()) {
      if (++steps % NAMES_A_STEP === 0) yield
      // Empty non-terminals own nothing.
      if (cursor.bytes[cursor.valueStart + 2] === 0) continue
      const bits = nodeBits(cursor.bytes, cursor.valueStart)
      if ((bits & HAS_SIGNATURES) !== 0) this.#signed = true
      if (this.#coverOctets < 0 || !this.#isCovered()) this.#name(bits)
      else this.#covered(bits)
    }
    this.#targets?.close()
    if (this.#denialAt !== undefined && !this.#signed) {
      const what = 'NSEC, NSEC3 or NSEC3PARAM and no RRSIG; expected none of them in an unsigned zone'
      this.#faults.add(faultOf('dnssec-in-unsigned', what, this.#denialAt))
    }
    return this.#faults.all()
  }

  #apex(bits: number): void {
    const zone = nameToText(this.#zone.apex)
    // The apex of a zone that is read has one SOA record; those that a program changes are asked again.
    if ((bits & HAS_SOA) === 0)
      this.#faults.add(faultOf('soa-missing', 'no SOA record; expected one', { zone }))
    if ((bits & HAS_TWO_SOA) !== 0)
      this.#faults.add(faultOf('soa-double', 'two SOA records; expected one', { zone }))
    if ((bits & HAS_NS) === 0)
      this.#faults.add(faultOf('ns-missing', 'no NS records at the apex; expected some', { zone }))
  }

  /** Whether the node is below the cover; if not, the cover is behind. */
  #isCovered(): boolean {
    const cursor = this.#cursor
    const length = cursor.loadKey()
    let same = length > this.#coverOctets
    for (let at = this.#coverOctets - 1; same && at >= 0; at--) same = cursor.key[at] === this.#coverKey[at]
    if (!same) this.#coverOctets = -1
    return same
  }

  #covered(bits: number): void {
    if (!this.#coverIsCut) {
      // RFC 5155 §3: owners of NSEC3 stand right below the apex, also where that owns a DNAME.
      const hashed = (bits & ~HAS_SIGNATURES) === ONLY_NSEC3 && this.#coverOctets === 0
      if (!hashed) this.#fault('below-dname', 0, 'a name below a DNAME; expected none')
    } else if ((bits & HAS_NO_GLUE) !== 0)
      this.#fault(
        'occluded',
        0,
        'data below a zone cut; expected addresses of nameservers only, the rest is hidden',
      )
  }

  /** A name that nothing covers. */
  #name(bits: number): void {
    const cursor = this.#cursor
    const apex = cursor.keyLength === 0
    if ((bits & HAS_NS) !== 0 && !apex) this.#cover(true)
    else if ((bits & HAS_DNAME) !== 0) this.#cover(false)
    const wildcard = (bits & (HAS_NS | HAS_DNAME)) !== 0 && this.#isWildcard()
    if ((bits & (HAS_CNAME | HAS_DNAME)) !== 0) lintAliases(bits, apex, wildcard, this.#report)
    if (this.#options.errorsOnly === true) return
    lintDelegation(bits, apex, wildcard, this.#report)
    if ((bits & HAS_DENIAL) !== 0 && this.#denialAt === undefined) this.#denialAt = this.#place(0)
    if ((bits & HAS_NSEC) !== 0) {
      lintBitmap(cursor.bytes, cursor.valueStart, (bits & HAS_NS) !== 0 && !apex, this.#report)
    }
    if ((bits & (HAS_NS | HAS_HOSTS)) !== 0) this.#targets?.node(cursor)
  }

  #cover(isCut: boolean): void {
    const cursor = this.#cursor
    this.#coverOctets = cursor.loadKey()
    this.#coverIsCut = isCut
    for (let at = 0; at < this.#coverOctets; at++) this.#coverKey[at] = cursor.key[at]!
  }

  #isWildcard(): boolean {
    const cursor = this.#cursor
    const length = cursor.loadKey()
    const { key } = cursor
    return key[length - 2] === 0x2a && length >= 2 && (length === 2 || key[length - 3] === 0)
  }

  #place(type: number): Place {
    const cursor = this.#cursor
    const owner = nameToText(nameOfKey(cursor.key.slice(0, cursor.loadKey()), this.#zone.apex))
    return { record: type === 0 ? owner : `${owner} ${typeToText(type)}` }
  }

  #fault(rule: RuleCode, type: number, what: string): void {
    const severity = faultOf(rule, what, {}).severity
    if (severity === 'warning' && this.#options.errorsOnly === true) return
    this.#faults.add(faultOf(rule, what, this.#place(type)))
  }
}
