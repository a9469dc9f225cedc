/** ZONEMD for a zone that is not signed (RFC 8976 §3): the apex gets the RRset, in place of what it had. */
import { ConclaveError } from '../base/index.ts'
import {
  decodeNode,
  encodeNode,
  nameToText,
  SOURCE_SIGNER,
  type Store,
  TYPE,
  type ZoneContent,
} from '../zones/index.ts'
import { soaSerial } from './nsec.ts'
import { ZONEMD_SHA384, ZONEMD_SHA512, zoneDigest, zonemdRdata } from './zonemd.ts'

const APEX_KEY = new Uint8Array(0)

/** Writes the ZONEMD RRset into the content's tree.
 *  @throws ConclaveError DIGEST_SIGNED: a signature over the old one would be left behind */
export async function addZonemd(
  store: Store,
  content: ZoneContent,
  hash: 'sha384' | 'sha512',
): Promise<void> {
  if (content.presigned) {
    throw new ConclaveError('DIGEST_SIGNED', 'the zone is signed, so its ZONEMD must be signed too', {
      place: { zone: nameToText(content.apex) },
      remedy: 'Use `conclave sign`, which makes both.',
    })
  }
  const algorithm = hash === 'sha384' ? ZONEMD_SHA384 : ZONEMD_SHA512
  const { tree, apex } = content
  const apexNode = decodeNode(tree.get(APEX_KEY)!.slice())
  const soa = apexNode.rrsets.find(rrset => rrset.type === TYPE.SOA)!
  const others = apexNode.rrsets.filter(rrset => rrset.type !== TYPE.ZONEMD)
  tree.put(APEX_KEY, encodeNode({ ...apexNode, rrsets: others }))
  const digest = await zoneDigest(store, { namesRoot: tree.root, nsec3Root: 0 }, apex, algorithm)
  const rdata = [zonemdRdata(soaSerial(soa.rdata[0]!), algorithm, digest)]
  const zonemd = { type: TYPE.ZONEMD, source: SOURCE_SIGNER, ttl: soa.ttl, rdata, signatures: [] }
  const rrsets = [...others, zonemd].sort((a, b) => a.type - b.type)
  tree.put(APEX_KEY, encodeNode({ ...apexNode, rrsets }))
}
