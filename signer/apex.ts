/** What the signer adds at the apex: DNSKEY (RFC 4035 §2.1), CDS and CDNSKEY (RFC 7344 §3), NSEC3PARAM (RFC 5155 §4),
 *  ZONEMD (RFC 8976 §3). The NSEC is the planner's.
 *  I1  RRsets are complete but for the serial of the SOA and the digest of the ZONEMD, which come last. */

import { compareOctets, type Name, type NodeRRset, SOURCE_SIGNER, TYPE } from '../zones/index.ts'
import type { Nsec3Parameters, SigningSettings, ZonemdMode } from './build-types.ts'
import { childSignals, dnskeyRdata } from './dnskey.ts'
import { soaWithSerial } from './nsec.ts'
import { nsec3paramRdata } from './nsec3.ts'
import { insertRRset } from './planner.ts'
import { ZONEMD_SHA384, ZONEMD_SHA512, zonemdRdata } from './zonemd.ts'

const DNSKEY_TTL_DEFAULT = 3600
/** Nobody asks for it but secondaries, which have it already. */
const NSEC3PARAM_TTL = 0
/** RFC 9276 §3.1. */
export const NO_NSEC3_PARAMETERS: Nsec3Parameters = { iterations: 0, salt: new Uint8Array(0) }

export function zonemdAlgorithm(mode: ZonemdMode): number {
  return mode === 'sha512' ? ZONEMD_SHA512 : ZONEMD_SHA384
}

/** The apex's RRsets: content and the signer's (I1). */
export function signedApexRRsets(
  content: readonly NodeRRset[],
  settings: SigningSettings,
  apex: Name,
): NodeRRset[] {
  const rrsets = [...content]
  const { denial, zonemd } = settings
  addKeyRRsets(rrsets, settings, apex)
  if (denial !== 'nsec') {
    addRRset(rrsets, TYPE.NSEC3PARAM, NSEC3PARAM_TTL, [
      nsec3paramRdata(settings.nsec3 ?? NO_NSEC3_PARAMETERS),
    ])
  }
  if (zonemd !== 'none') {
    // RFC 8976 §3.1: a placeholder stands in while names and types are signed.
    addRRset(rrsets, TYPE.ZONEMD, soaTtlOf(content), [
      zonemdRdata(0, zonemdAlgorithm(zonemd), new Uint8Array(0)),
    ])
  }
  return rrsets
}

function addKeyRRsets(rrsets: NodeRRset[], settings: SigningSettings, apex: Name): void {
  const { keys, foreign, ready } = settings
  if (ready !== undefined) {
    for (const rrset of ready) insertRRset(rrsets, { ...rrset, source: SOURCE_SIGNER })
    return
  }
  const dnskeyTtl = settings.dnskeyTtl ?? DNSKEY_TTL_DEFAULT
  const published = keys.filter(key => key.published).map(({ info }) => dnskeyRdata(info))
  const { cds, cdnskey } = childSignals(
    apex,
    keys.filter(key => key.cds).map(({ info }) => info),
  )
  addRRset(rrsets, TYPE.DNSKEY, dnskeyTtl, [...published, ...(foreign?.dnskey ?? [])])
  addRRset(rrsets, TYPE.CDS, dnskeyTtl, [...cds, ...(foreign?.cds ?? [])])
  addRRset(rrsets, TYPE.CDNSKEY, dnskeyTtl, [...cdnskey, ...(foreign?.cdnskey ?? [])])
}

/** RFC 8976 §3.1: the TTL of the ZONEMD should be the SOA's. */
function soaTtlOf(content: readonly NodeRRset[]): number {
  return content.find(({ type }) => type === TYPE.SOA)?.ttl ?? 0
}

function addRRset(rrsets: NodeRRset[], type: number, ttl: number, rdata: readonly Uint8Array[]): void {
  const sorted = [...rdata].sort(compareOctets)
  const once = sorted.filter((one, at) => at === 0 || compareOctets(one, sorted[at - 1]!) !== 0)
  if (once.length > 0) insertRRset(rrsets, { type, source: SOURCE_SIGNER, ttl, rdata: once, signatures: [] })
}

/** The RRsets with that serial in the SOA. */
export function withSerial(rrsets: readonly NodeRRset[], serial: number): NodeRRset[] {
  return rrsets.map(rrset => {
    if (rrset.type !== TYPE.SOA) return rrset
    return { ...rrset, rdata: [soaWithSerial(rrset.rdata[0]!, serial)] }
  })
}
