/** What a build did to the trees, seen afterwards: what differs from the published version, the content's fingerprint,
 *  how many records there are, which signatures are to be kept. */

import { Turns } from '../base/index.ts'
import { decodeNode, type Name, type Store } from '../zones/index.ts'
import type { BuildInput, Changes, TreeKind } from './build-types.ts'
import { ChangeList } from './change-list.ts'
import type { ContentRules } from './content.ts'
import { ContentHash } from './fingerprint.ts'
import { APEX_KEY, type KeyRange, keyAfter, WHOLE_ZONE } from './ranges.ts'
import { packSignatures } from './signature-pack.ts'
import type { SigningPlan } from './signing-plan.ts'
import { countRecords, diffTrees, greatestTtl } from './version-diff.ts'
import { apexNode } from './zonemd.ts'

const CHANGES_OCTETS_MAX_DEFAULT: number = 64 << 20

export interface SummaryContext {
  readonly input: BuildInput
  readonly canonicalApex: Name
  readonly plan: SigningPlan | undefined
  readonly rules: ContentRules
  /** Built from one end to the other. */
  readonly whole: boolean
}

export class Summary {
  /** Something besides the apex differs from the previous version. */
  differs: boolean
  records = 0
  /** Among the names that were looked at: all of them when built whole. Denial never has a greater one than the SOA. */
  ttlGreatest = 0
  /** Names that differ; collected when built in place. */
  readonly changedKeys: Uint8Array[] = []
  readonly #context: SummaryContext
  readonly #store: Store
  readonly #turns = new Turns()
  readonly #changes: ChangeList | undefined
  readonly #hash: ContentHash | undefined
  readonly #oldApex: Uint8Array | undefined
  #finishedApex: Uint8Array | undefined

  constructor(context: SummaryContext) {
    const { input, whole, canonicalApex } = context
    this.#context = context
    this.#store = input.store
    const { previous } = input
    this.differs = previous === undefined
    if (!whole) this.records = previous!.record.records
    this.#oldApex = previous === undefined ? undefined : apexNode(input.store, previous.record.namesRoot)
    this.#changes =
      previous === undefined
        ? undefined
        : new ChangeList(input.apex, canonicalApex, input.changesOctetsMax ?? CHANGES_OCTETS_MAX_DEFAULT)
    if (whole) this.#hash = new ContentHash()
    else if (previous!.contentHash !== undefined) this.#hash = new ContentHash(previous!.contentHash)
  }

  get contentHash(): string | undefined {
    return this.#hash?.toString()
  }

  /** Nothing to compare with, and no signatures to keep. */
  get #isFirst(): boolean {
    const { input, plan } = this.#context
    return input.previous === undefined && (plan === undefined || input.onSignatures === undefined)
  }

  /** Takes in the names tree; the apex is compared later, when it is done. */
  async names(root: number, ranges: readonly KeyRange[]): Promise<void> {
    const { rules, whole, input } = this.#context
    if (whole) await this.#takeAll(root)
    if (this.#isFirst) return
    const oldRoot = input.previous?.record.namesRoot ?? 0
    for (const range of ranges) {
      await diffTrees(this.#store, oldRoot, root, range, (key, old, now) => {
        if (!whole && old !== undefined) this.#hash?.subtract(rules, key, old)
        if (!whole && now !== undefined) this.#hash?.add(rules, key, now)
        if (key.length > 0) this.#differs('names', key, old, now)
      })
    }
  }

  /** Takes in the NSEC3 tree: all of it, or these hashes. */
  async nsec3(root: number, hashes: readonly Uint8Array[] | undefined): Promise<void> {
    const { whole, input } = this.#context
    if (whole) await this.#countAll(root)
    if (this.#isFirst) return
    const oldRoot = input.previous?.record.nsec3Root ?? 0
    const ranges = hashes?.map(hash => ({ start: hash, end: keyAfter(hash) })) ?? [WHOLE_ZONE]
    for (const range of ranges) {
      await diffTrees(this.#store, oldRoot, root, range, (key, old, now) =>
        this.#differs('nsec3', key, old, now),
      )
    }
  }

  /** The finished apex instead of the unsigned one. */
  apex(unsigned: Uint8Array, finished: Uint8Array): void {
    const { whole } = this.#context
    const old = this.#oldApex
    this.records += countRecords(finished) - countRecords(whole ? unsigned : old)
    this.#noteTtl(finished)
    this.#changes?.name(APEX_KEY, old, finished)
    this.#keepSignatures('names', APEX_KEY, old, finished)
    this.#finishedApex = finished
  }

  changes(): Changes | undefined {
    const old = this.#oldApex
    if (old === undefined || this.#finishedApex === undefined) return undefined
    return this.#changes?.changes(old, this.#finishedApex)
  }

  #differs(kind: TreeKind, key: Uint8Array, old: Uint8Array | undefined, now: Uint8Array | undefined): void {
    const { whole } = this.#context
    this.differs = true
    if (!whole) {
      this.#noteTtl(now)
      this.records += countRecords(now) - countRecords(old)
      if (kind === 'names') this.changedKeys.push(key.slice())
    }
    if (kind === 'names') this.#changes?.name(key, old, now)
    else this.#changes?.hash(key, old, now)
    this.#keepSignatures(kind, key, old, now)
  }

  #noteTtl(node: Uint8Array | undefined, start = 0): void {
    this.ttlGreatest = Math.max(this.ttlGreatest, greatestTtl(node, start))
  }

  #keepSignatures(
    kind: TreeKind,
    key: Uint8Array,
    old: Uint8Array | undefined,
    now: Uint8Array | undefined,
  ): void {
    const { input, plan } = this.#context
    if (input.onSignatures === undefined || plan === undefined) return
    const pack = now === undefined ? null : packSignatures(now, rrsig => plan.keyOf(rrsig))
    const kept = input.previous === undefined ? input.reuse?.(key, kind) : undefined
    const known = input.previous === undefined ? kept !== undefined : old !== undefined && hasSignatures(old)
    if (pack === null && !known) return
    if (pack !== null && kept !== undefined && Buffer.from(kept).equals(pack)) return
    input.onSignatures(key, kind, pack)
  }

  async #countAll(root: number): Promise<void> {
    const cursor = this.#store.readTree()
    for (let placed = cursor.seekFirst(root); placed; placed = cursor.next()) {
      this.records += countRecords(cursor.bytes, cursor.valueStart)
      if (this.#turns.due()) await this.#turns.take()
    }
  }

  /** Counts and hashes every name. */
  async #takeAll(root: number): Promise<void> {
    const { rules } = this.#context
    const cursor = this.#store.readTree()
    for (let placed = cursor.seekFirst(root); placed; placed = cursor.next()) {
      this.records += countRecords(cursor.bytes, cursor.valueStart)
      this.#noteTtl(cursor.bytes, cursor.valueStart)
      const key = cursor.key.subarray(0, cursor.loadKey())
      this.#hash!.add(rules, key, cursor.bytes.subarray(cursor.valueStart, cursor.valueEnd))
      if (this.#turns.due()) await this.#turns.take()
    }
  }
}

function hasSignatures(node: Uint8Array): boolean {
  return decodeNode(node).rrsets.some(({ signatures }) => signatures.length > 0)
}
