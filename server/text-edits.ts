/** What a zone file's text says otherwise, as edits of what is served: the same that comparing the whole text with the
 *  served version would give, or none.
 *
 *    TextEdit ─▶ owners, old and new ─▶ old is what is served? ─▶ rules of a program's change ─▶ edits
 *
 *  I1  An owner is edited only when the changed parts of the old text had all its records: what they made of it is what
 *      is served of it.
 *  I2  Whatever would be a fault, and whatever only a whole version can settle, is left to the reading of the whole
 *      text: keys and signatures of others, another spelling of the apex, a zone that loses many names. */
import { ConclaveError } from '../base/index.ts'
import {
  type ContentEdit,
  hasContent,
  isSignersType,
  rrsetOfType,
  sameContent,
  soaSerial,
  withSerial,
} from '../signer/index.ts'
import {
  compareOctets,
  decodeNode,
  type EditedOwner,
  editedOwners,
  encodeNode,
  type TextEdit,
  TYPE,
  type ZoneRecord,
} from '../zones/index.ts'
import { ChangeSet, contentOf, isSingle, type ServedNodes } from './program-zone.ts'

/** What is served of the zone. */
export interface EditedZone {
  readonly apexKey: Uint8Array
  readonly record: ZoneRecord
  readonly nodes: ServedNodes
  /** Signed here. */
  readonly signs: boolean
}

/** Beyond this share of the names, a zone that loses names is looked at as a whole. */
const LOST_SHARE = 8
const APEX_KEY = new Uint8Array(0)
const NO_NODE: Uint8Array = encodeNode({ flags: 0, cutLabels: 0, rrsets: [] })

/** In ascending order of keys, the apex always among them: its SOA has the text's serial. Undefined: the whole text has
 *  to be read. */
export function textEdits(edit: TextEdit, zone: EditedZone): ContentEdit[] | undefined {
  const { apexKey, record, nodes, signs } = zone
  const soas = [...edit.before, ...edit.after].filter(({ type }) => type === TYPE.SOA)
  if (soas.some(({ owner }) => compareOctets(owner, record.apex) !== 0)) return undefined
  const owners = editedOwners(edit, record.apex, apexKey)
  if (owners === undefined || !owners.every(owner => isServed(owner, zone) && isPlain(owner)))
    return undefined
  const lost = owners.filter(({ after }) => after === undefined).length
  if (lost * LOST_SHARE > record.names) return undefined
  const edits = owners.map(({ key, after }) => ({ key, node: after ?? null }))
  if (edits[0]?.key.length !== 0) edits.unshift({ key: APEX_KEY, node: servedApex(zone) })
  // It is warned of.
  if (rrsetOfType(edits[0]!.node ?? NO_NODE, TYPE.NS) === undefined) return undefined
  const changes = new ChangeSet(record.apex, apexKey, nodes, signs)
  try {
    changes.replace(edits)
  } catch (error) {
    if (error instanceof ConclaveError) return undefined
    throw error
  }
  return changes.edits()
}

/** I1. */
function isServed({ key, before }: EditedOwner, { nodes, record, signs }: EditedZone): boolean {
  const rules = { signs }
  const node = nodes.node(key)
  const content = node !== undefined && hasContent(rules, key, node) ? node : undefined
  if (!sameContent(rules, key, content, before)) return false
  // The serial that is served is another.
  const soa = before === undefined ? undefined : rrsetOfType(before, TYPE.SOA)
  return soa === undefined || soaSerial(soa.rdata[0]!) === record.sourceSerial
}

/** I2. */
function isPlain({ key, before, after }: EditedOwner): boolean {
  return [before, after].every(node => {
    const rrsets = node === undefined ? [] : decodeNode(node).rrsets
    return rrsets.every(({ type, rdata }) => {
      return !isSignersType(type, key.length === 0) && (rdata.length === 1 || !isSingle(type))
    })
  })
}

/** The apex's content with the serial of the source. */
function servedApex({ nodes, record }: EditedZone): Uint8Array {
  const { rrsets } = contentOf(APEX_KEY, nodes.node(APEX_KEY))
  return encodeNode({ flags: 0, cutLabels: 0, rrsets: withSerial(rrsets, record.sourceSerial) })
}
