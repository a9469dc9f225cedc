/** Answers from signed zones: the RFCs' own zones and questions. NS RRsets that the RFCs' examples show in the authority
 *  section of positive answers are left out by this server (docs/deviations.md). */

import { readFileSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import { Nsec3Hasher } from '../../server/nsec3-hash.ts'
import { nameFromText, nameToText, rdataToText, TYPE, typeToText } from '../../zones/index.ts'
import { type Asker, askerOf } from '../support/ask.ts'
import type { Message } from '../support/message.ts'
import { parseRecords, signedStoreOf, storeOf, withSignatures } from '../support/zone.ts'

interface Expected {
  readonly rcode?: number
  readonly aa?: boolean
  /** RRsets as `owner type`, with all their records and the RRSIG that the RFC prints, unless a leading `-` says that the
   *  RRset is not signed; `owner type < wildcard` for those that a wildcard gives. Of hashed owners six digits suffice. */
  readonly answer?: readonly string[]
  readonly authority?: readonly string[]
  readonly additional?: readonly string[]
}

class Vector {
  readonly #asker: Asker
  /** Each with its owner, its type (of an RRSIG the type covered), and all behind its owner as `ask` shows it. */
  readonly #records: readonly { owner: string; type: string; signature: boolean; rest: string }[]

  constructor(asker: Asker, text: string) {
    this.#asker = asker
    this.#records = parseRecords(text).map(({ owner, type, ttl, rdata }) => {
      const shown = rdataToText(type, rdata)
      const signature = type === TYPE.RRSIG
      const covered = signature ? shown.split(' ')[0]! : typeToText(type)
      const rest = `${ttl} ${typeToText(type)} ${shown}`
      return { owner: nameToText(owner), type: covered, signature, rest }
    })
  }

  static async load(file: string): Promise<Vector> {
    const text = readFileSync(`test/vectors/${file}`, 'utf8')
    return new Vector(askerOf(await storeOf(text)), text)
  }

  ask(name: string, type: string, options: { dnssecOk?: boolean } = {}): Message {
    return this.#asker.ask(name, type, options)
  }

  is(t: ExecutionContext, name: string, type: string, expected: Expected): void {
    const message = this.ask(name, type)
    const { rcode = 0, aa = true, answer = [], authority = [], additional = [] } = expected
    t.deepEqual(
      {
        rcode: message.rcode,
        aa: message.authoritative,
        tc: message.truncated,
        answer: message.answer.toSorted(),
        authority: message.authority.toSorted(),
        additional: message.additional.toSorted(),
        dnssecOk: message.opt?.dnssecOk,
      },
      {
        rcode,
        aa,
        tc: false,
        answer: this.#lines(answer),
        authority: this.#lines(authority),
        additional: this.#lines(additional),
        dnssecOk: true,
      },
    )
  }

  #lines(rrsets: readonly string[]): string[] {
    return rrsets.flatMap(rrset => this.#rrset(rrset)).sort()
  }

  #rrset(text: string): string[] {
    const signed = !text.startsWith('-')
    const [shown, type, , wildcard] = text.replace(/^-/, '').split(' ')
    const owner = wildcard ?? shown!
    const isOwner = (name: string): boolean =>
      name === owner || (type === 'NSEC3' && name.startsWith(owner.split('.')[0]!))
    const records = this.#records.filter(one => one.type === type && isOwner(one.owner))
    if (records.some(({ signature }) => signature) !== signed) throw new Error(`${text} and its signature`)
    return records.map(({ owner: name, rest }) => `${wildcard === undefined ? name : shown} ${rest}`)
  }
}

const nsecZone = await Vector.load('rfc4035-a.zone')
const nsec3Zone = await Vector.load('rfc5155-a.zone')

const NSEC_ANSWERS: readonly [string, string, string, Expected][] = [
  [
    'B.1: an answer',
    'x.w.example.',
    'MX',
    { answer: ['x.w.example. MX'], additional: ['xx.example. A', 'xx.example. AAAA'] },
  ],
  [
    'B.2: a name error',
    'ml.example.',
    'A',
    { rcode: 3, authority: ['example. SOA', 'b.example. NSEC', 'example. NSEC'] },
  ],
  ['B.3: no data', 'ns1.example.', 'MX', { authority: ['example. SOA', 'ns1.example. NSEC'] }],
  [
    'B.4: a referral to a signed zone',
    'mc.a.example.',
    'MX',
    {
      aa: false,
      authority: ['-a.example. NS', 'a.example. DS'],
      additional: ['-ns1.a.example. A', '-ns2.a.example. A'],
    },
  ],
  [
    'B.5: a referral to an unsigned zone',
    'mc.b.example.',
    'MX',
    {
      aa: false,
      authority: ['-b.example. NS', 'b.example. NSEC'],
      additional: ['-ns1.b.example. A', '-ns2.b.example. A'],
    },
  ],
  [
    'B.6: a wildcard expansion',
    'a.z.w.example.',
    'MX',
    {
      answer: ['a.z.w.example. MX < *.w.example.'],
      authority: ['x.y.w.example. NSEC'],
      additional: ['ai.example. A', 'ai.example. AAAA'],
    },
  ],
  [
    'B.7: a wildcard without the type',
    'a.z.w.example.',
    'AAAA',
    { authority: ['example. SOA', 'x.y.w.example. NSEC', '*.w.example. NSEC'] },
  ],
  ['B.8: DS at the child', 'example.', 'DS', { authority: ['example. SOA', 'example. NSEC'] }],
]

for (const [title, name, type, expected] of NSEC_ANSWERS) {
  test(`RFC 4035 ${title}`, t => {
    nsecZone.is(t, name, type, expected)
  })
}

test('RFC 4035 §3.1.3.1: an empty non-terminal is denied by the NSEC before it', t => {
  nsecZone.is(t, 'w.example.', 'A', {
    authority: ['example. SOA', 'ns2.example. NSEC'],
  })
})

test('RFC 4035 §3.1.4.1: DS is answered at a cut by the parent, and denied there too', t => {
  nsecZone.is(t, 'a.example.', 'DS', { answer: ['a.example. DS'] })
  nsecZone.is(t, 'b.example.', 'DS', {
    authority: ['example. SOA', 'b.example. NSEC'],
  })
})

test('RFC 4035 §3.1: NSEC asked for by name is an answer; at a cut it is a referral', t => {
  nsecZone.is(t, 'ns1.example.', 'NSEC', { answer: ['ns1.example. NSEC'] })
  t.false(nsecZone.ask('b.example.', 'NSEC').authoritative)
})

test('RFC 4035 §3.1.3.2: one NSEC that proves two things stands there once', t => {
  nsecZone.is(t, '0.example.', 'A', {
    rcode: 3,
    authority: ['example. SOA', 'example. NSEC'],
  })
})

test('RFC 3225 §3: without DO there is no DNSSEC record that was not asked for', t => {
  for (const [, name, type] of NSEC_ANSWERS) {
    const { answer, authority, additional } = nsecZone.ask(name, type, { dnssecOk: false })
    t.deepEqual(
      [...answer, ...authority, ...additional].filter(line => /RRSIG|NSEC/.test(line)),
      [],
    )
  }
})

test('RFC 2308 §5: the SOA of a negative answer and its RRSIG have the TTL of MINIMUM when it is less', async t => {
  const zone = askerOf(
    await storeOf(
      withSignatures(parseRecords('example. 7200 SOA ns bugs.example. 1 2 3 4 300\nexample. 7200 NS ns.')),
    ),
  )
  const { authority } = zone.ask('a.example.', 'A')
  t.deepEqual(
    authority.map(line => line.split(' ').slice(1, 3).join(' ')),
    ['300 SOA', '300 RRSIG'],
  )
})

const NSEC3_ANSWERS: readonly [string, string, string, Expected][] = [
  [
    'B.1: a name error',
    'a.c.x.w.example.',
    'A',
    {
      rcode: 3,
      authority: ['example. SOA', '0p9mha.example. NSEC3', 'b4um86.example. NSEC3', '35mthg.example. NSEC3'],
    },
  ],
  ['B.2: no data', 'ns1.example.', 'MX', { authority: ['example. SOA', '2t7b4g.example. NSEC3'] }],
  [
    'B.2.1: no data at an empty non-terminal',
    'y.w.example.',
    'A',
    { authority: ['example. SOA', 'ji6neo.example. NSEC3'] },
  ],
  [
    'B.3: a referral to an opt-out unsigned zone',
    'mc.c.example.',
    'MX',
    {
      aa: false,
      authority: ['-c.example. NS', '35mthg.example. NSEC3', '0p9mha.example. NSEC3'],
      additional: ['-ns1.c.example. A', '-ns2.c.example. A'],
    },
  ],
  [
    'B.4: a wildcard expansion',
    'a.z.w.example.',
    'MX',
    {
      answer: ['a.z.w.example. MX < *.w.example.'],
      authority: ['q04jkc.example. NSEC3'],
      additional: ['ai.example. A', 'ai.example. AAAA'],
    },
  ],
  [
    'B.5: a wildcard without the type',
    'a.z.w.example.',
    'AAAA',
    {
      authority: ['example. SOA', 'k8udem.example. NSEC3', 'q04jkc.example. NSEC3', 'r53bq7.example. NSEC3'],
    },
  ],
  ['B.6: DS at the child', 'example.', 'DS', { authority: ['example. SOA', '0p9mha.example. NSEC3'] }],
]

for (const [title, name, type, expected] of NSEC3_ANSWERS) {
  test(`RFC 5155 ${title}`, t => {
    nsec3Zone.is(t, name, type, expected)
  })
}

test('the first question to a zone is answered as later ones are', async t => {
  for (const [, ...question] of NSEC_ANSWERS) (await Vector.load('rfc4035-a.zone')).is(t, ...question)
  for (const [, ...question] of NSEC3_ANSWERS) (await Vector.load('rfc5155-a.zone')).is(t, ...question)
})

test('RFC 5155 §7.2.4: DS that opt-out left without an NSEC3 is denied by the closest provable encloser', t => {
  nsec3Zone.is(t, 'c.example.', 'DS', {
    authority: ['example. SOA', '35mthg.example. NSEC3', '0p9mha.example. NSEC3'],
  })
})

test('RFC 5155 §7.2.8: the owner name of an NSEC3 record does not exist', t => {
  const { rcode, authority } = nsec3Zone.ask('r53bq7cc2uvmubfu5ocmm6pers9tk9en.example.', 'NSEC3')
  t.is(rcode, 3)
  t.true(authority.some(line => line.startsWith('0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. 3600 NSEC3 ')))
  // This hash is a name with data of its own as well.
  t.is(nsec3Zone.ask('2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.', 'NSEC3').rcode, 0)
  t.is(nsec3Zone.ask('2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.', 'A').answer.length, 2)
})

const WILDCARD_ALIASES = `$ORIGIN example.
$TTL 300
@ SOA ns host 1 7200 3600 1209600 300
@ NS ns
ns A 192.0.2.1
mail MX 10 ns
*.host CNAME mail
*.below CNAME www.cut
cut NS ns.cut
ns.cut A 192.0.2.2
`

for (const denial of ['nsec', 'nsec3'] as const) {
  test(`RFC 1035 §4.1: proofs of wildcard aliases stand before additional data, with ${denial}`, async t => {
    const asker = askerOf(await signedStoreOf(WILDCARD_ALIASES, denial))
    const proof = denial.toUpperCase()
    const typesOf = (lines: readonly string[]): string[] =>
      lines.map(line => / (RRSIG \w+|\w+)/.exec(line.replace(/ \d+/, ''))![1]!).toSorted()
    const answer = asker.ask('a.host.example.', 'MX')
    t.deepEqual(typesOf(answer.authority), [proof, `RRSIG ${proof}`])
    t.deepEqual(typesOf(answer.additional), ['A', 'RRSIG A'])
    const referral = asker.ask('a.below.example.', 'MX')
    t.true(referral.authority.some(line => line.startsWith('cut.example. 300 NS ')))
    t.deepEqual(referral.additional, ['ns.cut.example. 300 A 192.0.2.2'])
    t.false(typesOf(referral.authority).includes('A'))
  })
}

test('RFC 5155 appendix A: hashes of names', t => {
  const hasher = new Nsec3Hasher()
  const parameters = { salt: Uint8Array.from([0xaa, 0xbb, 0xcc, 0xdd]), iterations: 12 }
  const hashes: readonly [string, string][] = [
    ['example.', '0p9mhaveqvm6t7vbl5lop2u3t2rp3tom'],
    ['A.Example.', '35mthgpgcu1qg68fab165klnsnk3dpvl'],
    ['*.w.example.', 'r53bq7cc2uvmubfu5ocmm6pers9tk9en'],
    ['x.y.w.example.', '2vptu5timamqttgl4luu9kg21e0aor3s'],
    ['2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.', 'kohar7mbb8dc2ce8a9qvl8hon4k53uhi'],
  ]
  for (const pass of ['computed', 'cached']) {
    for (const [text, expected] of hashes) {
      const name = nameFromText(text)
      hasher.hash(parameters, name, 0, name.length, false)
      t.is(base32hex(hasher.digest), expected, pass)
    }
  }
  const w = nameFromText('w.example.')
  hasher.hash(parameters, w, 0, w.length, true)
  t.is(base32hex(hasher.digest), 'r53bq7cc2uvmubfu5ocmm6pers9tk9en', 'the wildcard below a name')
})

function base32hex(octets: Uint8Array): string {
  let bits = ''
  for (const octet of octets) bits += octet.toString(2).padStart(8, '0')
  return bits.replace(/.{5}/g, five => '0123456789abcdefghijklmnopqrstuv'[Number.parseInt(five, 2)]!)
}
