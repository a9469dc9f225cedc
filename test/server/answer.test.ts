/** Answers from unsigned zones: zone, question, expected sections. */

import test from 'ava'
import { type Asker, askerOf } from '../support/ask.ts'
import { childText, mixedText } from '../support/peer-zones.ts'
import { storeOf } from '../support/zone.ts'

const RCODE = { NOERROR: 0, NXDOMAIN: 3, REFUSED: 5, YXDOMAIN: 6 } as const

interface Row {
  readonly title: string
  readonly question: readonly [name: string, type: string]
  readonly rcode?: keyof typeof RCODE
  readonly aa?: boolean
  /** `owner TYPE rdata`, any order. */
  readonly answer?: readonly string[]
  readonly authority?: readonly string[]
  readonly additional?: readonly string[]
}

function withoutTtl(lines: readonly string[]): string[] {
  return lines.map(line => line.replace(/^(\S+) \d+ /, '$1 ')).sort()
}

function rows(asker: Asker, table: readonly Row[]): void {
  for (const { title, question, rcode = 'NOERROR', aa = true, answer = [], ...rest } of table) {
    test(title, t => {
      const message = asker.ask(...question, { dnssecOk: false })
      t.deepEqual(
        {
          rcode: message.rcode,
          aa: message.authoritative,
          tc: message.truncated,
          answer: withoutTtl(message.answer),
          authority: withoutTtl(message.authority),
          additional: withoutTtl(message.additional),
        },
        {
          rcode: RCODE[rcode],
          aa,
          tc: false,
          answer: [...answer].sort(),
          authority: [...(rest.authority ?? [])].sort(),
          additional: [...(rest.additional ?? [])].sort(),
        },
      )
    })
  }
}

const WILDCARD_ZONE = `$ORIGIN example.
$TTL 3600
@ SOA ns.example.com. admin 1 2 3 4 5
@ NS ns.example.com.
@ NS ns.example.net.
* TXT "this is a wildcard"
* MX 10 host1
sub.* TXT "this is not a wildcard"
host1 A 192.0.2.1
_ssh._tcp.host1 SRV 0 0 22 host1
_ssh._tcp.host2 SRV 0 0 22 host2
subdel NS ns.example.com.
subdel NS ns.example.net.
`
const WILDCARD_SOA = 'example. SOA ns.example.com. admin.example. 1 2 3 4 5'

rows(askerOf(await storeOf(WILDCARD_ZONE)), [
  {
    title: 'RFC 4592 §2.2.1: host3 MX is synthesised',
    question: ['host3.example.', 'MX'],
    answer: ['host3.example. MX 10 host1.example.'],
    additional: ['host1.example. A 192.0.2.1'],
  },
  {
    title: 'RFC 4592 §2.2.1: host3 A is no error and no data, the wildcard has no A',
    question: ['host3.example.', 'A'],
    authority: [WILDCARD_SOA],
  },
  {
    title: 'RFC 4592 §2.2.1: foo.bar TXT is synthesised, two labels below',
    question: ['foo.bar.example.', 'TXT'],
    answer: ['foo.bar.example. TXT "this is a wildcard"'],
  },
  {
    title: 'RFC 4592 §2.2.1: host1 MX is not synthesised, since host1 exists',
    question: ['host1.example.', 'MX'],
    authority: [WILDCARD_SOA],
  },
  {
    title: 'RFC 4592 §2.2.1: sub.* MX is not synthesised, since sub.* exists',
    question: ['sub.*.example.', 'MX'],
    authority: [WILDCARD_SOA],
  },
  {
    title: 'RFC 4592 §2.2.1: _telnet._tcp.host1 SRV: the empty non-terminal _tcp.host1 stops the wildcard',
    question: ['_telnet._tcp.host1.example.', 'SRV'],
    rcode: 'NXDOMAIN',
    authority: [WILDCARD_SOA],
  },
  {
    title: 'RFC 4592 §2.2.1: host.subdel A: the zone cut stops the wildcard',
    question: ['host.subdel.example.', 'A'],
    aa: false,
    authority: ['subdel.example. NS ns.example.com.', 'subdel.example. NS ns.example.net.'],
  },
  {
    title: 'RFC 4592 §2.2.1: ghost.* MX: *.example exists, and has no wildcard below',
    question: ['ghost.*.example.', 'MX'],
    rcode: 'NXDOMAIN',
    authority: [WILDCARD_SOA],
  },
  {
    title: 'RFC 4592 §2.3: the wildcard itself may be asked for',
    question: ['*.example.', 'TXT'],
    answer: ['*.example. TXT "this is a wildcard"'],
  },
])

const OTHER =
  '$ORIGIN other.test.\n@ SOA ns x 1 2 3 4 5\n@ NS ns\nwww A 192.0.2.77\nback CNAME alias.mixed.test.\n'
const mixed = askerOf(
  await storeOf(
    `${mixedText('mixed.test.')}toother CNAME www.other.test.\ntoback CNAME back.other.test.\ntonothing CNAME no.other.test.\n`,
    childText('served.mixed.test.'),
    OTHER,
  ),
)
const SOA = 'mixed.test. SOA ns1.mixed.test. hostmaster.mixed.test. 1 7200 3600 1209600 900'
const OTHER_SOA = 'other.test. SOA ns.other.test. x.other.test. 1 2 3 4 5'
const MAIL = ['mail.mixed.test. A 192.0.2.4', 'mail.mixed.test. A 192.0.2.5']
const MAIL_ALL = [...MAIL, 'mail.mixed.test. AAAA 2001:db8::4']
const CUT = {
  authority: ['cut.mixed.test. NS ns.cut.mixed.test.', 'cut.mixed.test. NS ns2.cut.mixed.test.'],
  additional: [
    'ns.cut.mixed.test. A 192.0.2.20',
    'ns.cut.mixed.test. AAAA 2001:db8::20',
    'ns2.cut.mixed.test. A 192.0.2.21',
  ],
}

rows(mixed, [
  {
    title: 'RFC 1034 §4.3.2: an answer, the question spelled as it came (RFC 4343 §4.1)',
    question: ['MaIl.MIXED.test.', 'A'],
    answer: ['MaIl.MIXED.test. A 192.0.2.4', 'MaIl.MIXED.test. A 192.0.2.5'],
  },
  { title: 'RFC 2308 §2.2: no data', question: ['mail.mixed.test.', 'TXT'], authority: [SOA] },
  {
    title: 'RFC 2308 §2.1: a name error',
    question: ['nothing.mixed.test.', 'A'],
    rcode: 'NXDOMAIN',
    authority: [SOA],
  },
  {
    title: 'RFC 8020 §2: an empty non-terminal exists',
    question: ['nonterminal.mixed.test.', 'A'],
    authority: [SOA],
  },
  {
    title: 'RFC 1034 §4.3.2: a chain of CNAMEs ends at data',
    question: ['alias2.mixed.test.', 'A'],
    answer: [
      'alias2.mixed.test. CNAME alias.mixed.test.',
      'alias.mixed.test. CNAME mail.mixed.test.',
      ...MAIL,
    ],
  },
  {
    title: 'RFC 1034 §4.3.2: a CNAME asked for is the answer',
    question: ['alias2.mixed.test.', 'CNAME'],
    answer: ['alias2.mixed.test. CNAME alias.mixed.test.'],
  },
  {
    title: 'RFC 1034 §4.3.2: a CNAME that leaves our zones is all there is to say',
    question: ['aliasout.mixed.test.', 'A'],
    answer: ['aliasout.mixed.test. CNAME www.elsewhere.test.'],
  },
  {
    title: 'RFC 1034 §4.3.2: a CNAME into another zone that we serve is followed',
    question: ['toother.mixed.test.', 'A'],
    answer: ['toother.mixed.test. CNAME www.other.test.', 'www.other.test. A 192.0.2.77'],
  },
  {
    title: 'RFC 1034 §4.3.2: a chain may come back to the first zone',
    question: ['toback.mixed.test.', 'A'],
    answer: [
      'toback.mixed.test. CNAME back.other.test.',
      'back.other.test. CNAME alias.mixed.test.',
      'alias.mixed.test. CNAME mail.mixed.test.',
      ...MAIL,
    ],
  },
  {
    title: 'RFC 6604 §3: the RCODE and SOA are those of the last name, in its zone',
    question: ['tonothing.mixed.test.', 'A'],
    rcode: 'NXDOMAIN',
    answer: ['tonothing.mixed.test. CNAME no.other.test.'],
    authority: [OTHER_SOA],
  },
  {
    title: 'RFC 1034 §3.6.2: a loop of CNAMEs is told once around',
    question: ['loop1.mixed.test.', 'A'],
    answer: ['loop1.mixed.test. CNAME loop2.mixed.test.', 'loop2.mixed.test. CNAME loop1.mixed.test.'],
  },
  {
    title: 'RFC 1034 §3.6.2: a CNAME to itself is told once',
    question: ['selfloop.mixed.test.', 'A'],
    answer: ['selfloop.mixed.test. CNAME selfloop.mixed.test.'],
  },
  {
    title: 'RFC 4592 §3.3: a wildcard CNAME is synthesised and followed',
    question: ['x.y.wildalias.mixed.test.', 'A'],
    answer: ['x.y.wildalias.mixed.test. CNAME mail.mixed.test.', ...MAIL],
  },
  {
    title: 'RFC 1034 §4.3.1: a CNAME to a delegated name ends in the referral; AA speaks for the first owner',
    question: ['aliascut.mixed.test.', 'A'],
    answer: ['aliascut.mixed.test. CNAME host.cut.mixed.test.'],
    ...CUT,
  },
  {
    title: 'RFC 1034 §4.3.2: a referral with glue',
    question: ['a.b.cut.mixed.test.', 'A'],
    aa: false,
    ...CUT,
  },
  {
    title: 'RFC 2181 §6.1: at a cut even NS is a referral',
    question: ['cut.mixed.test.', 'NS'],
    aa: false,
    ...CUT,
  },
  {
    title: 'RFC 2181 §5.4.1: glue is no answer',
    question: ['ns.cut.mixed.test.', 'A'],
    aa: false,
    ...CUT,
  },
  {
    title: 'RFC 9471 §2.2: glue of a sibling is added where the zone has it',
    question: ['sibling.mixed.test.', 'A'],
    aa: false,
    authority: [
      'sibling.mixed.test. NS ns.cut.mixed.test.',
      'sibling.mixed.test. NS ns.signedcut.mixed.test.',
    ],
    additional: [
      'ns.cut.mixed.test. A 192.0.2.20',
      'ns.cut.mixed.test. AAAA 2001:db8::20',
      'ns.signedcut.mixed.test. A 192.0.2.24',
    ],
  },
  {
    title: 'RFC 1034 §4.3.2: nameservers elsewhere have no glue',
    question: ['outcut.mixed.test.', 'A'],
    aa: false,
    authority: ['outcut.mixed.test. NS ns1.elsewhere.test.', 'outcut.mixed.test. NS ns2.elsewhere.test.'],
  },
  {
    title: 'RFC 4035 §3.1.4.1: DS at a cut is the parent zone’s to answer, also when we serve the child',
    question: ['served.mixed.test.', 'DS'],
    authority: [SOA],
  },
  {
    title: 'RFC 1034 §4.3.2: the child that we serve answers for itself',
    question: ['served.mixed.test.', 'NS'],
    answer: ['served.mixed.test. NS ns.served.mixed.test.'],
    additional: ['ns.served.mixed.test. A 192.0.2.30'],
  },
  {
    title: 'RFC 4035 §3.1.4.1: DS at the apex of a zone whose parent we do not serve has no data',
    question: ['other.test.', 'DS'],
    authority: [OTHER_SOA],
  },
  {
    title: 'RFC 6672 §3.1: a name below a DNAME',
    question: ['host.dname.mixed.test.', 'A'],
    answer: [
      'dname.mixed.test. DNAME target.dnamed.mixed.test.',
      'host.dname.mixed.test. CNAME host.target.dnamed.mixed.test.',
      'host.target.dnamed.mixed.test. A 192.0.2.12',
    ],
  },
  {
    title: 'RFC 6672 §2.3: the owner of a DNAME is not redirected',
    question: ['dname.mixed.test.', 'TXT'],
    answer: ['dname.mixed.test. TXT "beside the DNAME"'],
  },
  {
    title: 'RFC 6672 §2.3: a DNAME out of our zones',
    question: ['a.b.dnameout.mixed.test.', 'A'],
    answer: [
      'dnameout.mixed.test. DNAME elsewhere.test.',
      'a.b.dnameout.mixed.test. CNAME a.b.elsewhere.test.',
    ],
  },
  {
    title: 'RFC 6672 §2.2: a name that a DNAME makes too long',
    question: [`${'x'.repeat(50)}.${'y'.repeat(50)}.dnamelong.mixed.test.`, 'A'],
    rcode: 'YXDOMAIN',
    answer: [`dnamelong.mixed.test. DNAME ${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.mixed.test.`],
  },
  {
    title: 'RFC 6672 §3.2: CNAME asked for below a DNAME is the synthesised one',
    question: ['host.dname.mixed.test.', 'CNAME'],
    answer: [
      'dname.mixed.test. DNAME target.dnamed.mixed.test.',
      'host.dname.mixed.test. CNAME host.target.dnamed.mixed.test.',
    ],
  },
  {
    title: 'RFC 8482 §4.1: ANY is answered with one RRset',
    question: ['mixed.test.', 'ANY'],
    answer: ['mixed.test. A 192.0.2.1'],
  },
  {
    title: 'RFC 2782: the addresses of SRV targets that the zone has',
    question: ['srv.mixed.test.', 'SRV'],
    answer: [
      'srv.mixed.test. SRV 0 5 5060 mail.mixed.test.',
      'srv.mixed.test. SRV 0 5 5061 target.cut.mixed.test.',
      'srv.mixed.test. SRV 0 5 5062 ns1.elsewhere.test.',
    ],
    additional: [...MAIL_ALL, 'target.cut.mixed.test. A 192.0.2.22'],
  },
  {
    title: 'RFC 9460 §4.1: the target of an SVCB in alias form',
    question: ['svcalias.mixed.test.', 'SVCB'],
    answer: ['svcalias.mixed.test. SVCB 0 mail.mixed.test.'],
    additional: MAIL_ALL,
  },
  {
    title: 'RFC 9460 §2.5.2: the target "." in service form is the owner',
    question: ['mixed.test.', 'HTTPS'],
    answer: ['mixed.test. HTTPS 1 . alpn=h2'],
    additional: ['mixed.test. A 192.0.2.1', 'mixed.test. AAAA 2001:db8::1'],
  },
])

rows(
  askerOf(
    await storeOf(
      '$ORIGIN example.\n@ SOA ns x 1 2 3 4 5\n@ NS ns\nfoo HTTPS 0 svc\nsvc HTTPS 2 . port=8002\nsvc A 192.0.2.2\n',
    ),
  ),
  [
    {
      title: 'RFC 9460 §4.1: the SVCB records of the target are added too',
      question: ['foo.example.', 'HTTPS'],
      answer: ['foo.example. HTTPS 0 svc.example.'],
      additional: ['svc.example. A 192.0.2.2', 'svc.example. HTTPS 2 . port=8002'],
    },
  ],
)

const ROOT = `. SOA a.root. x. 1 2 3 4 5
. NS a.root.
a.root. A 192.0.2.1
test. NS ns.test.
ns.test. A 192.0.2.2
`

rows(askerOf(await storeOf(ROOT)), [
  {
    title: 'RFC 1034 §4.3.2: the root zone answers for its apex',
    question: ['.', 'NS'],
    answer: ['. NS a.root.'],
    additional: ['a.root. A 192.0.2.1'],
  },
  {
    title: 'RFC 1034 §4.3.2: the root zone denies',
    question: ['nothing.', 'A'],
    rcode: 'NXDOMAIN',
    authority: ['. SOA a.root. x. 1 2 3 4 5'],
  },
  {
    title: 'RFC 1034 §4.3.2: the root zone delegates',
    question: ['www.test.', 'A'],
    aa: false,
    authority: ['test. NS ns.test.'],
    additional: ['ns.test. A 192.0.2.2'],
  },
])

test('RFC 8914 §4.21: a name out of our zones is refused, with the reason', t => {
  const message = mixed.ask('example.com.', 'A')
  t.is(message.rcode, RCODE.REFUSED)
  t.false(message.authoritative)
  t.deepEqual(message.ede, [20])
  t.deepEqual(mixed.ask('example.com.', 'A', { udpOctets: 0 }).opt, undefined)
})

test('RFC 1034 §4.3.2: a chain is followed a bounded number of steps', async t => {
  const links = Array.from({ length: 40 }, (_, index) => `c${index} CNAME c${index + 1}`)
  const zone = askerOf(
    await storeOf(`$ORIGIN example.\n@ SOA ns x 1 2 3 4 5\n@ NS ns\n${links.join('\n')}\n`),
  )
  const { answer, rcode } = zone.ask('c0.example.', 'A', { tcp: true })
  t.is(answer.length, 16)
  t.is(rcode, RCODE.NOERROR)
})

test('a wildcard CNAME that leads below itself ends', async t => {
  const zone = askerOf(await storeOf('$ORIGIN example.\n@ SOA ns x 1 2 3 4 5\n@ NS ns\n*.w CNAME a.b.w\n'))
  t.deepEqual(withoutTtl(zone.ask('x.w.example.', 'A').answer), [
    'a.b.w.example. CNAME a.b.w.example.',
    'x.w.example. CNAME a.b.w.example.',
  ])
})

test('a wildcard DNAME chain that grows ends with YXDOMAIN or at the bound', async t => {
  const zone = askerOf(await storeOf('$ORIGIN example.\n@ SOA ns x 1 2 3 4 5\n@ NS ns\nd DNAME x.y.d\n'))
  const message = zone.ask('a.d.example.', 'A', { tcp: true })
  t.true(message.answer.length <= 32)
})
