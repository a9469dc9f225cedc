/** What people see with dig and kdig: EDNS and its faults, sizes, truncation and the way over TCP, ANY, the question's
 *  spelling, errors that explain themselves. */

import test, { type ExecutionContext } from 'ava'
import { createNameserver, type Nameserver } from '../../server/index.ts'
import { needs } from '../support/tools.ts'
import { outputOf, portOf } from '../support/validators.ts'

const ZONE = `$ORIGIN dig.example.
$TTL 300
@ SOA ns host 1 7200 3600 1209600 300
@ NS ns
ns A 127.0.0.1
host A 192.0.2.1
big TXT ${`"${'x'.repeat(250)}" `.repeat(20)}
`

let server: Nameserver
test.before(async () => {
  // RSA: a DNSKEY RRset with its RRSIG is beyond 512 octets.
  const signing = { algorithm: 8, splitKeys: true }
  server = await createNameserver({ listen: ['127.0.0.1@0'], workers: 1, signing })
  await server.addText(ZONE)
})
test.after.always(() => server.close())

const dig = (...words: string[]): Promise<string> =>
  outputOf('dig', ['@127.0.0.1', '-p', `${portOf(server)}`, ...words])
const kdig = (...words: string[]): Promise<string> =>
  outputOf('kdig', ['@127.0.0.1', '-p', `${portOf(server)}`, ...words])

/** One row: what is typed, what must be in the output, what must not. */
interface Shown {
  readonly title: string
  readonly words: readonly string[]
  readonly shows: readonly RegExp[]
  readonly hides?: readonly RegExp[]
}

const DIG: readonly Shown[] = [
  {
    title: 'RFC 6891 §6.1.3: version 1 is answered with BADVERS and version 0',
    words: ['+norec', '+edns=1', '+noednsnegotiation', 'dig.example', 'SOA'],
    shows: [/status: BADVERS/, /EDNS: version: 0/, /ANSWER: 0/],
  },
  {
    title: 'RFC 6891 §6.1.3: dig falls back to version 0',
    words: ['+norec', '+edns=1', 'dig.example', 'SOA'],
    shows: [/BADVERS, retrying with EDNS version 0/, /status: NOERROR/, /flags: qr aa;/],
  },
  {
    title: 'RFC 6891 §6.1.2: options that are not supported are ignored',
    words: [
      ...['+norec', '+nsid', '+cookie', '+padding=128', '+subnet=192.0.2.0/24', '+expire', '+keepalive'],
      ...['+ednsopt=65001:0102', 'dig.example', 'SOA'],
    ],
    shows: [/status: NOERROR/, /ANSWER: 1/, /EDNS: version: 0, flags:; udp: 1232/],
    hides: [/NSID/, /COOKIE/, /PAD/, /CLIENT-SUBNET/, /EXPIRE/],
  },
  {
    title: 'RFC 6891 §6.1.4: unknown flags are not copied',
    words: ['+norec', '+ednsflags=0x7fff', '+dnssec', 'dig.example', 'SOA'],
    shows: [/status: NOERROR/, /flags: do; udp/],
    hides: [/MBZ/],
  },
  {
    title: 'RFC 6891 §7: no OPT without one in the query',
    words: ['+norec', '+noedns', 'host.dig.example', 'A'],
    shows: [/flags: qr aa; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 0/, /\t192\.0\.2\.1\n/],
    hides: [/EDNS/, /RRSIG/],
  },
  {
    title: 'RFC 1035 §4.1.1: RD is copied, RA is not set, AA is',
    words: ['+rec', 'host.dig.example', 'A'],
    shows: [/flags: qr aa rd;/, /recursion requested but not available/],
  },
  {
    title: 'RFC 2181 §9: what does not fit has TC and no partial RRset',
    words: ['+norec', '+ignore', '+bufsize=512', 'big.dig.example', 'TXT'],
    shows: [/flags: qr aa tc; QUERY: 1, ANSWER: 0/, /MSG SIZE {2}rcvd: \d{2}\n/],
  },
  {
    title: 'RFC 6891 §6.2.4: a larger size than the maximum is not made use of',
    words: ['+norec', '+ignore', '+bufsize=4096', '+dnssec', 'big.dig.example', 'TXT'],
    shows: [/flags: qr aa tc; QUERY: 1, ANSWER: 0/],
  },
  {
    title: 'RFC 7766 §5: dig asks again over TCP',
    words: ['+norec', '+dnssec', 'big.dig.example', 'TXT'],
    shows: [/Truncated, retrying in TCP mode/, /flags: qr aa; QUERY: 1, ANSWER: 2/, /\(TCP\)/, /x{250}/],
  },
  {
    title: 'RFC 6891 §6.2.3: sizes below 512 count as 512',
    words: ['+norec', '+ignore', '+bufsize=100', 'dig.example', 'SOA'],
    shows: [/flags: qr aa; QUERY: 1, ANSWER: 1/],
  },
  {
    title: 'RFC 4035 §3.1: DNSKEY with RRSIG by TCP alone',
    words: ['+norec', '+tcp', '+dnssec', 'dig.example', 'DNSKEY'],
    shows: [/flags: qr aa; QUERY: 1, ANSWER: 3/, /\(TCP\)/, /\tRRSIG\tDNSKEY 8 2 /],
  },
  {
    title: 'RFC 4035 §3.1: a DNSKEY RRset that is too large for 512 octets comes by TCP',
    words: ['+norec', '+dnssec', '+bufsize=512', 'dig.example', 'DNSKEY'],
    shows: [/Truncated, retrying in TCP mode/, /flags: qr aa; QUERY: 1, ANSWER: 3/, /\(TCP\)/],
  },
  {
    title: 'RFC 8482 §4.1: ANY gives one RRset',
    words: ['+norec', '+notcp', '+dnssec', 'dig.example', 'ANY'],
    shows: [/status: NOERROR/, /flags: qr aa; QUERY: 1, ANSWER: 2/, /\(UDP\)/],
  },
  {
    title: 'RFC 8482 §4.1: ANY gives one RRset over TCP',
    words: ['+norec', 'dig.example', 'ANY'],
    shows: [/status: NOERROR/, /flags: qr aa; QUERY: 1, ANSWER: 1/, /\(TCP\)/],
  },
  {
    title: 'RFC 4343 §4: the question keeps its spelling, the answer follows it',
    words: ['+norec', '+qr', 'HoSt.DIG.eXample', 'A'],
    shows: [
      /Sending:.*;HoSt\.DIG\.eXample\..*Got answer:.*;HoSt\.DIG\.eXample\./s,
      /\nHoSt\.DIG\.eXample\.\t/,
    ],
  },
  {
    title: 'RFC 8914 §4.21: a refusal says why',
    words: ['+norec', 'www.other.test', 'A'],
    shows: [/status: REFUSED/, /flags: qr;/, /EDE: 20 \(Not Authoritative\)/, /;www\.other\.test\./],
  },
  {
    title: 'RFC 8914 §4.22: so does that of another class',
    words: ['+norec', '-c', 'CH', '-t', 'TXT', '-q', 'version.bind'],
    shows: [/status: REFUSED/, /EDE: 21 \(Not Supported\)/],
  },
  {
    title: 'RFC 1035 §4.1.1: an opcode that is not known is not implemented',
    words: ['+norec', '+opcode=15', 'dig.example', 'SOA'],
    shows: [/status: NOTIMP/, /opcode: RESERVED15/],
  },
  {
    title: 'RFC 1035 §4.1.1: a query without question is malformed',
    words: ['+norec', '+header-only', 'dig.example', 'SOA'],
    shows: [/status: FORMERR/],
  },
  {
    title: 'RFC 1034 §4.3.4: NXDOMAIN with the SOA',
    words: ['+norec', 'nx.dig.example', 'A'],
    shows: [/status: NXDOMAIN/, /flags: qr aa; QUERY: 1, ANSWER: 0, AUTHORITY: 1/, /\tSOA\t/],
  },
]

const KDIG: readonly Shown[] = [
  {
    title: 'RFC 6891 §6.1.3: version 1 is answered with BADVERS',
    words: ['+edns=1', 'dig.example', 'SOA'],
    shows: [/status: BADVERS/, /ext-rcode: BADVERS/, /Version: 0/],
  },
  {
    title: 'RFC 6891 §6.1.2: NSID, cookies and padding are ignored',
    words: ['+nsid', '+cookie', '+padding', '+dnssec', 'dig.example', 'SOA'],
    shows: [/status: NOERROR/, /ANSWER: 2/, /flags: do; UDP size: 1232 B/],
    hides: [/NSID: [^r]/, /COOKIE: [^r]/],
  },
  {
    title: 'RFC 7766 §5: kdig asks again over TCP',
    words: ['+dnssec', 'big.dig.example', 'TXT'],
    shows: [/retrying over TCP/, /ANSWER: 2/, /\(TCP\)/, /x{250}/],
  },
  {
    title: 'RFC 8914 §4.21: a refusal says why',
    words: ['+edns', 'www.other.test', 'A'],
    shows: [/status: REFUSED/, /EDE: 20 \(Not Authoritative\)/],
  },
  {
    title: 'RFC 7766 §6.2.1: two questions over one connection',
    words: ['+tcp', '+keepopen', 'dig.example', 'SOA', 'host.dig.example', 'A'],
    shows: [/\tSOA\t.*\tA\t192\.0\.2\.1/s],
  },
]

function check(t: ExecutionContext, text: string, { shows, hides = [] }: Shown): void {
  for (const pattern of shows) t.regex(text, pattern)
  for (const pattern of hides) t.notRegex(text, pattern)
}

for (const shown of DIG) {
  test.serial(`dig: ${shown.title}`, async t => {
    if (needs(t, 'dig')) check(t, await dig(...shown.words), shown)
  })
}

for (const shown of KDIG) {
  test.serial(`kdig: ${shown.title}`, async t => {
    if (needs(t, 'kdig')) check(t, await kdig(...shown.words), shown)
  })
}
