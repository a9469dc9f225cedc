import test from 'ava'
import type { DenialMode } from '../../signer/index.ts'
import { ownerOf } from '../../signer/nsec.ts'
import { decodeNode, nameFromText, nameToText, rdataToText, TYPE, typeToText } from '../../zones/index.ts'
import { cskOf, settingsOf, TestZone } from './build-support.ts'
import { RandomZone } from './random-zones.ts'

const apex = nameFromText('example.')
const DENIALS: readonly DenialMode[] = ['nsec', 'nsec3', 'opt-out']

/** A version without what differs between two builds that are both right: signatures' octets and times. */
function structureOf(zone: TestZone): string[] {
  const lines: string[] = []
  const { namesRoot, nsec3Root } = zone.last!.record
  const cursor = zone.store.readTree()
  for (const root of [namesRoot, nsec3Root]) {
    for (let placed = cursor.seekFirst(root); placed; placed = cursor.next()) {
      const key = cursor.key.slice(0, cursor.loadKey())
      const owner = root === namesRoot ? nameToText(ownerOf(key, apex)) : Buffer.from(key).toString('hex')
      const node = decodeNode(cursor.bytes, cursor.valueStart)
      lines.push(
        `${owner} ${node.flags} ${node.cutLabels} ${Buffer.from(node.spelling ?? []).toString('latin1')}`,
      )
      for (const { type, ttl, source, rdata, signatures } of node.rrsets) {
        const data = type === TYPE.ZONEMD ? [] : rdata.map(one => rdataToText(type, one))
        const by = signatures.map(one => rdataToText(TYPE.RRSIG, one).split(' ').slice(0, 4).join(' '))
        lines.push(`${owner} ${ttl} ${typeToText(type)} ${source} ${data.join(' | ')} // ${by.join(' | ')}`)
      }
    }
  }
  return lines.map(line => line.replace(/ SOA 0 (\S+ \S+) \d+ /, ' SOA 0 $1 SERIAL '))
}

for (const denial of [...DENIALS, undefined]) {
  test(`an edited version is what building it from nothing gives, ${denial ?? 'unsigned'}`, async t => {
    for (let seed = 1; seed <= 25; seed++) {
      const { keys } = cskOf(apex)
      const signing = denial === undefined ? undefined : settingsOf(keys, { denial, zonemd: 'none' })
      const random = new RandomZone(seed, 12)
      const edited = new TestZone('example.', signing)
      await edited.load(random.text())
      for (let step = 0; step < 6; step++) {
        for (let edits = 1 + (seed % 3); edits > 0; edits--) random.edit()
        random.serial++
        const before = random.text()
        const built = await edited.load(before)
        t.deepEqual(built.dropped, [], 'built in place')
        const fresh = new TestZone('example.', signing)
        await fresh.load(random.text())
        t.deepEqual(structureOf(edited), structureOf(fresh), `seed ${seed} step ${step}\n${before}`)
        t.is(built.record.records, fresh.last!.record.records, `seed ${seed} step ${step}`)
        t.is(built.record.names, fresh.last!.record.names)
        t.is(built.contentHash, fresh.last!.contentHash)
      }
    }
  })
}
