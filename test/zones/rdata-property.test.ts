import test from 'ava'
import fc from 'fast-check'
import {
  canonicalRdata,
  compareCanonicalRdata,
  compareOctets,
  decodeTypes,
  encodeTypes,
  genericRdataText,
  rdataFault,
  rdataFromText,
  rdataToText,
  typeToText,
} from '../../zones/index.ts'
import { TextOctets } from '../../zones/print-octets.ts'
import { type FieldKind, rdataFields } from '../../zones/rdata-table.ts'
import { rdataOf } from '../support/rdata-arbitrary.ts'

const RUNS = { seed: 20260101, numRuns: 60 }

/** Kinds whose end nothing but the end of the RDATA marks: a shorter one can be right too. */
const OPEN: ReadonlySet<FieldKind> = new Set<FieldKind>([
  'string?',
  'strings',
  'text',
  'text+',
  'base64',
  'base64?',
  'hex',
  'ds-digest',
  'fingerprint',
  'zone-digest',
  'types',
  'types?',
  'nxt-types',
  'nsap',
  'apl?',
  'hip',
  'svcparams?',
])

for (const [type, fields] of rdataFields) {
  const mnemonic = typeToText(type)

  test(`${mnemonic}: wire to text to wire, and through \\#`, t => {
    fc.assert(
      fc.property(rdataOf(type), rdata => {
        t.is(rdataFault(type, rdata, 0, rdata.length), undefined)
        const text = rdataToText(type, rdata)
        t.false(text.startsWith('\\# '), text)
        t.deepEqual(rdataFromText(type, text), rdata, text)
        t.deepEqual(rdataFromText(type, genericRdataText(rdata)), rdata)
      }),
      RUNS,
    )
  })

  test(`${mnemonic}: written as octets, right, truncated and in generic form`, t => {
    for (const options of [{}, { generic: new Set([type, 1, 46]) }]) {
      fc.assert(
        fc.property(rdataOf(type), fc.nat(40), (rdata, cut) => {
          for (const part of [rdata, rdata.subarray(0, Math.max(0, rdata.length - cut))]) {
            const printed = new TextOctets(1, options)
            printed.rdata(type, part, 0, part.length)
            t.is(Buffer.from(printed.take()).toString(), rdataToText(type, part, options))
          }
        }),
        RUNS,
      )
    }
  })

  test(`${mnemonic}: truncated wire form is refused, or right in itself`, t => {
    const open = fields.some(field => OPEN.has(field.kind))
    fc.assert(
      fc.property(rdataOf(type), rdata => {
        for (let length = 0; length < rdata.length; length++) {
          const part = rdata.slice(0, length)
          const fault = rdataFault(type, part, 0, length)
          if (fault !== undefined) t.regex(fault, /^found .+, expected .+/)
          else if (!open) t.fail(`${rdataToText(type, part)} of ${length} octets`)
          else t.deepEqual(rdataFromText(type, rdataToText(type, part)), part)
        }
      }),
      { ...RUNS, numRuns: 15 },
    )
  })

  test(`${mnemonic}: octets that are right have a text that gives them again; others are shown in generic form`, t => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), rdata => {
        const text = rdataToText(type, rdata)
        if (rdataFault(type, rdata, 0, rdata.length) === undefined)
          t.deepEqual(rdataFromText(type, text), rdata)
        else t.is(text, genericRdataText(rdata))
      }),
      RUNS,
    )
  })

  test(`${mnemonic}: RFC 4034 §6.3: the order is that of canonical forms, and canonical form is a fixed point`, t => {
    fc.assert(
      fc.property(rdataOf(type), rdataOf(type), fc.nat(), fc.nat(255), (a, random, at, octet) => {
        const near = Uint8Array.from(a)
        near[at % Math.max(1, a.length)]! = octet
        const nearIsRight = rdataFault(type, near, 0, near.length) === undefined
        for (const b of [random, a, nearIsRight ? near : a]) {
          const order = compareOctets(canonicalRdata(type, a), canonicalRdata(type, b))
          t.is(Math.sign(compareCanonicalRdata(type, a, b)), Math.sign(order))
        }
        const canonical = canonicalRdata(type, a)
        t.is(canonicalRdata(type, canonical), canonical)
      }),
      RUNS,
    )
  })
}

test('RFC 4034 §4.1.2: bit maps hold exactly the types put in', t => {
  fc.assert(
    fc.property(fc.array(fc.nat(65535), { maxLength: 40 }), list => {
      const map = encodeTypes(list)
      t.deepEqual(
        decodeTypes(map, 0, map.length),
        [...new Set(list)].sort((a, b) => a - b),
      )
    }),
    RUNS,
  )
})
