/** What a build reads, what it writes to, and how much of the zone it does: decided once, at its start.
 *
 *    whole zone     content tree (or a copy of the published tree with edits) ──▶ new tree, one range
 *    in place       copy of the published tree, edits put in                  ──▶ the same tree, small ranges
 *
 *  I1  A build is whole when there is no previous version, when it is not cheaper otherwise, or when something changed
 *      that every name depends on: keys, denial, TTL of the denial, the largest TTL, signed or not. */

import {
  compareOctets,
  DENIAL_NONE,
  DENIAL_NSEC,
  DENIAL_NSEC3,
  DENIAL_OPT_OUT,
  type Denial,
  type NodeRRset,
  type TreeDraft,
  TYPE,
  u16,
  type ZoneRecord,
} from '../zones/index.ts'
import { NO_NSEC3_PARAMETERS } from './apex.ts'
import type { BuildInput, ContentEdit, DenialMode } from './build-types.ts'
import { type ContentRules, contentRRsets, occludes } from './content.ts'
import { type Expirations, scanExpirations } from './expirations.ts'
import { denialTtl } from './nsec.ts'
import { rrsetOfType } from './previous.ts'
import { APEX_KEY, type ChangedName, type KeyRange, rangesOf, WHOLE_ZONE } from './ranges.ts'
import type { SigningPlan } from './signing-plan.ts'
import { diffContent } from './version-diff.ts'
import { BuildStop } from './writer.ts'
import { apexNode } from './zonemd.ts'

export interface BuildSource {
  readonly rules: ContentRules
  readonly whole: boolean
  readonly ranges: readonly KeyRange[]
  /** The tree that is read: `names` itself when built in place, else one that stays as it is. */
  readonly root: number
  readonly names: TreeDraft
  /** A draft that is only read, to be discarded. */
  readonly scratch?: TreeDraft
  /** The SOA RRset of the content. */
  readonly soa: NodeRRset
  /** Hashes whose signatures are due. */
  readonly dueHashes: readonly Uint8Array[]
  /** Of a refresh built in place: when the signatures that stay end first, in Unix seconds; the apex, signed anew if
   *  anything is, is apart. */
  readonly staying?: { readonly firstUnix: number; readonly apexUnix: number }
}

/** Beyond so many edits, and a share of the zone, building whole is cheaper. */
const EDITS_MAX = 10_000
const EDITS_SHARE = 4

/** @throws BuildStop SOA_MISSING */
export async function openSource(input: BuildInput, plan: SigningPlan | undefined): Promise<BuildSource> {
  const { previous, edits, store } = input
  if (previous !== undefined && plan !== undefined) takePreviousKeys(input, plan)
  if (edits.kind === 'all') {
    const root = edits.content.tree.root
    const apex = apexNode(store, root)
    const rules = rulesFor(apex, plan)
    const soa = soaOf(apex, rules)
    if (previous === undefined || edits.content.presigned || mustBeWhole(input, plan, soa)) {
      return wholeSource(input, rules, root, soa)
    }
    const found = await diffContent(store, root, previous.record.namesRoot, rules, editsMax(previous.record))
    return found === undefined
      ? wholeSource(input, rules, root, soa)
      : editedSource(input, plan, rules, found, soa)
  }
  const signs = plan !== undefined || input.unsign === true
  const rules: ContentRules = { signs, ttlMax: plan?.settings.ttlMax }
  return editedSource(input, plan, rules, edits.kind === 'some' ? [...edits.edits] : [])
}

function editsMax(record: ZoneRecord): number {
  return Math.max(EDITS_MAX, Math.floor(record.names / EDITS_SHARE))
}

function rulesFor(apex: Uint8Array | undefined, plan: SigningPlan | undefined): ContentRules {
  if (plan !== undefined || apex === undefined) {
    return { signs: plan !== undefined, ttlMax: plan?.settings.ttlMax }
  }
  return { signs: false, nsec3param: rrsetOfType(apex, TYPE.NSEC3PARAM)?.rdata[0]?.slice() }
}

function soaOf(apex: Uint8Array | undefined, rules: ContentRules): NodeRRset {
  const rrsets = apex === undefined ? [] : contentRRsets(rules, APEX_KEY, apex)
  const soa = rrsets.find(({ type }) => type === TYPE.SOA)
  if (soa !== undefined && soa.rdata.length > 0) return soa
  const fault = { place: {}, what: 'the zone has no SOA', severity: 'error' as const, rule: 'soa-missing' }
  throw new BuildStop({ kind: 'refused', code: 'SOA_MISSING', faults: [fault] })
}

function wholeSource(input: BuildInput, rules: ContentRules, root: number, soa: NodeRRset): BuildSource {
  return { rules, whole: true, ranges: [WHOLE_ZONE], root, names: input.store.newTree(), soa, dueHashes: [] }
}

async function editedSource(
  input: BuildInput,
  plan: SigningPlan | undefined,
  rules: ContentRules,
  edits: readonly ContentEdit[],
  contentSoa?: NodeRRset,
): Promise<BuildSource> {
  const { store, previous } = input
  if (previous === undefined) throw new Error('build: edits need a previous version')
  const draft = store.editTree(previous.record.namesRoot)
  try {
    const changed = applyEdits(input, draft, edits)
    const soa = contentSoa ?? soaOf(apexNode(store, draft.root), rules)
    if (mustBeWhole(input, plan, soa)) {
      return { ...wholeSource(input, rules, draft.root, soa), scratch: draft }
    }
    if (!rules.signs && previous.record.signed) throw new Error('build: a zone signed elsewhere has no edits')
    const refresh = input.edits.kind === 'refresh' ? await scanDue(input, plan) : undefined
    for (const key of refresh?.names.due ?? []) changed.push({ key, uncovers: false })
    changed.push({ key: APEX_KEY, uncovers: false })
    const tree = { cursor: store.readTree(), root: draft.root, rules }
    return {
      rules,
      whole: false,
      ranges: rangesOf(tree, changed),
      root: draft.root,
      names: draft,
      soa,
      dueHashes: refresh?.hashes.due ?? [],
      ...(refresh === undefined ? {} : { staying: refresh.staying }),
    }
  } catch (error) {
    draft.discard()
    throw error
  }
}

interface Due {
  readonly names: Expirations
  readonly hashes: Expirations
  readonly staying: { readonly firstUnix: number; readonly apexUnix: number }
}

async function scanDue({ store, previous }: BuildInput, plan: SigningPlan | undefined): Promise<Due> {
  const { namesRoot, nsec3Root } = previous!.record
  const isDue = (rrsig: Uint8Array): boolean => plan !== undefined && !plan.isFresh(rrsig)
  const names = await scanExpirations(store, namesRoot, isDue)
  const hashes = await scanExpirations(store, nsec3Root, isDue)
  const firstUnix = Math.min(names.firstUnix, hashes.firstUnix)
  return { names, hashes, staying: { firstUnix, apexUnix: names.apexUnix } }
}

/** Puts the edits into the draft; what they did to the names below them is in `uncovers`. */
function applyEdits(input: BuildInput, draft: TreeDraft, edits: readonly ContentEdit[]): ChangedName[] {
  const cursor = input.store.readTree()
  const root = input.previous!.record.namesRoot
  return edits.map(({ key, node }) => {
    const apex = key.length === 0
    const had = cursor.find(root, key, 0, key.length) && occludes(cursor.bytes, cursor.valueStart, apex) !== 0
    const has = node !== null && occludes(node, 0, apex) !== 0
    if (node === null) draft.delete(key)
    else draft.put(key, node)
    return { key, uncovers: had && !has }
  })
}

function takePreviousKeys(input: BuildInput, plan: SigningPlan): void {
  const apex = apexNode(input.store, input.previous!.record.namesRoot)
  plan.takePreviousKeys(apex === undefined ? [] : (rrsetOfType(apex, TYPE.DNSKEY)?.rdata ?? []))
}

export function denialOf(mode: DenialMode | undefined): Denial {
  switch (mode) {
    case undefined:
      return DENIAL_NONE
    case 'nsec':
      return DENIAL_NSEC
    case 'nsec3':
      return DENIAL_NSEC3
    case 'opt-out':
      return DENIAL_OPT_OUT
  }
}

/** I1. */
function mustBeWhole(input: BuildInput, plan: SigningPlan | undefined, soa: NodeRRset): boolean {
  const { record } = input.previous!
  if (record.signed !== (plan !== undefined)) return true
  if (plan === undefined) return false
  const { denial, nsec3 = NO_NSEC3_PARAMETERS, ttlMax } = plan.settings
  if (ttlMax !== input.previous!.ttlMax) return true
  if (record.denial !== denialOf(denial)) return true
  if (denial !== 'nsec') {
    if (record.nsec3.iterations !== nsec3.iterations) return true
    if (compareOctets(record.nsec3.salt, nsec3.salt) !== 0) return true
  }
  const apex = apexNode(input.store, record.namesRoot)
  const old = apex === undefined ? undefined : rrsetOfType(apex, TYPE.SOA)
  if (old === undefined) return true
  if (denialTtl(old.rdata[0]!, old.ttl) !== denialTtl(soa.rdata[0]!, soa.ttl)) return true
  return !hasSigners(old, plan)
}

/** Whether the keys that signed the old SOA are those that sign the zone now. */
function hasSigners(soa: NodeRRset, plan: SigningPlan): boolean {
  const signers = plan.zoneSigners
  if (soa.signatures.length !== signers.length) return false
  return signers.every(signer => {
    const { algorithm, keyTag, reusable } = signer
    return reusable && soa.signatures.some(rrsig => rrsig[2] === algorithm && u16(rrsig, 16) === keyTag)
  })
}
