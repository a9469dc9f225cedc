/** The last step of a build: whether anything changed, the serial, the SOA, the apex's signatures, ZONEMD.
 *  I1  With a previous version: nothing differs → unchanged, whatever was asked.
 *  I2  After a restart: the same content and no signature to make → the serial that was served last, else one after it.
 *  I3  The ZONEMD is made of the finished zone, with every signature but its own (RFC 8976 §3). */

import { compareOctets, decodeNode, encodeNode, type NodeRRset, SOURCE_SIGNER, TYPE } from '../zones/index.ts'
import { withSerial, zonemdAlgorithm } from './apex.ts'
import type { BuildSource } from './build-source.ts'
import type { Summary } from './build-summary.ts'
import type { BuildInput, SerialPolicy } from './build-types.ts'
import { isSignedRRset, soaSerial } from './nsec.ts'
import { OldSignatures } from './old-signatures.ts'
import { insertRRset, type PlannedNode } from './planner.ts'
import { APEX_KEY } from './ranges.ts'
import { isSerialAfter, nextSerial } from './serial.ts'
import { type SigningPlan, sameRRset } from './signing-plan.ts'
import type { SignedWriter } from './writer.ts'
import { apexNode, zoneDigest, zonemdRdata } from './zonemd.ts'

export interface ApexStep {
  readonly input: BuildInput
  readonly plan: SigningPlan | undefined
  readonly source: BuildSource
  /** Planned, without signatures. */
  readonly apex: PlannedNode
  /** The same, with its key RRsets signed. */
  readonly keysSigned: PlannedNode
  readonly summary: Summary
  readonly writer: SignedWriter
  readonly nsec3Root: number
  readonly counts: { readonly made: number }
}

export type ApexOutcome =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'finished'; readonly serial: number }

export async function finishApex(step: ApexStep): Promise<ApexOutcome> {
  const { input, source, apex, summary, counts } = step
  const unsigned = encodeNode(apex).slice()
  const last = input.previous?.record.serial ?? input.serial.lastServed
  const policy = step.plan === undefined ? policyAsIs(input, apex.rrsets) : input.serial.policy
  const sourceSerial = soaSerial(source.soa.rdata[0]!)
  const differs = (): boolean => summary.differs || apexDiffers(step, last!)
  let changed = isChanged(step, policy, sourceSerial, last, differs)
  if (!changed && input.previous !== undefined) return { kind: 'unchanged' }
  for (;;) {
    const made = counts.made
    const serial = changed || last === undefined ? nextSerial(policy, sourceSerial, last, nowOf(input)) : last
    await signApex(step, serial)
    // I2: something had to be signed, so this is not the version that had the last serial.
    if (!changed && last !== undefined && policy !== 'keep' && counts.made > made) {
      changed = true
      continue
    }
    summary.apex(unsigned, apexNode(input.store, source.names.root)!)
    return { kind: 'finished', serial }
  }
}

/** Content that is served as it is keeps its serial when that is signed or digested. */
export function policyAsIs(input: BuildInput, rrsets: readonly NodeRRset[]): SerialPolicy {
  const bound = rrsets.some(({ type, signatures }) => type === TYPE.ZONEMD || signatures.length > 0)
  return bound ? 'keep' : input.serial.policy
}

export function nowOf({ serial, signing }: BuildInput): number {
  const now = serial.nowUnix ?? signing?.now
  if (now === undefined && (serial.policy === 'unixtime' || serial.policy === 'dateserial')) {
    throw new Error(`build: the serial policy ${serial.policy} needs the time`)
  }
  return now ?? 0
}

type ChangeFacts = Pick<ApexStep, 'input' | 'counts'> & { readonly summary: Pick<Summary, 'contentHash'> }

/** `differs`: from a previous version. */
export function isChanged(
  { input, summary, counts }: ChangeFacts,
  policy: SerialPolicy,
  sourceSerial: number,
  last: number | undefined,
  differs: () => boolean,
): boolean {
  if (last === undefined) return true
  // The source's own serial counts where it can be followed.
  if (policy === 'keep' ? sourceSerial !== last : policy === 'increment' && isSerialAfter(sourceSerial, last))
    return true
  if (input.previous === undefined) {
    return counts.made > 0 || summary.contentHash !== input.serial.lastContentHash
  }
  return differs()
}

/** Whether the apex, with the last serial, would be another than the published one, or has signatures to be made. */
function apexDiffers({ input, plan, apex }: ApexStep, last: number): boolean {
  const old = apexNode(input.store, input.previous!.record.namesRoot)
  if (old === undefined) return true
  const before = decodeNode(old)
  const now = withSerial(apex.rrsets, last)
  if (before.rrsets.length !== now.length || before.flags !== encodeNode(apex)[0]) return true
  const signatures = new OldSignatures(old, () => undefined)
  return now.some((rrset, index) => {
    const published = before.rrsets[index]!
    const placeholder = plan !== undefined && rrset.type === TYPE.ZONEMD && published.type === TYPE.ZONEMD
    const same = placeholder
      ? rrset.ttl === published.ttl && sameHash(rrset, published)
      : sameRRset(rrset, published)
    if (!same) return true
    if (plan === undefined || !isSignedRRset(apex.flags, rrset.type)) return false
    if (rrset.signatures.length > 0) return !sameSignatures(rrset, published)
    return plan.signersOf(rrset.type, true).some(signer => {
      const found = signatures.find(published, signer)
      return found === undefined || !plan.isFresh(found)
    })
  })
}

function sameSignatures(a: NodeRRset, b: NodeRRset): boolean {
  if (a.signatures.length !== b.signatures.length) return false
  return a.signatures.every((rrsig, index) => compareOctets(rrsig, b.signatures[index]!) === 0)
}

/** Scheme and hash algorithm. */
function sameHash(a: NodeRRset, b: NodeRRset): boolean {
  return a.rdata[0]![4] === b.rdata[0]![4] && a.rdata[0]![5] === b.rdata[0]![5]
}

async function signApex(
  { input, plan, source, keysSigned: apex, writer, nsec3Root }: ApexStep,
  serial: number,
): Promise<void> {
  const own = plan !== undefined && plan.settings.zonemd !== 'none'
  const withoutDigest = own ? apex.rrsets.filter(({ type }) => type !== TYPE.ZONEMD) : apex.rrsets
  await writer.write([{ ...apex, rrsets: withSerial(withoutDigest, serial) }])
  await writer.end()
  if (!own) return
  const algorithm = zonemdAlgorithm(plan.settings.zonemd)
  const roots = { namesRoot: source.names.root, nsec3Root }
  const digest = await zoneDigest(input.store, roots, input.apex, algorithm, input.signal)
  const signed = decodeNode(apexNode(input.store, source.names.root)!).rrsets.slice()
  const placeholder = apex.rrsets.find(({ type }) => type === TYPE.ZONEMD)!
  insertRRset(signed, {
    type: TYPE.ZONEMD,
    source: SOURCE_SIGNER,
    ttl: placeholder.ttl,
    rdata: [zonemdRdata(serial, algorithm, digest)],
    signatures: [],
  })
  await writer.write([{ ...apex, key: APEX_KEY, rrsets: signed }])
  await writer.end()
}
