/** A parent zone, a signed child and an unsigned one, and questions about them that need every kind of proof, with what
 *  a validator must say to each.
 *  I1  All nameservers have the address 127.0.0.1: resolvers under test never ask beyond loopback. */

import { type Delv, outcomeOf, type Resolver, type Verdict } from './validators.ts'

export const PARENT = 'example.'
export const CHILD = 'child.example.'
export const PLAIN = 'plain.example.'

const LONG_TEXT = `"${'0123456789'.repeat(20)}" `.repeat(12)

const APEX = `@ SOA ns hostmaster 7 7200 3600 1209600 300
@ NS ns
ns A 127.0.0.1
`

/** `childDs`: DS records of the child, in presentation form with their owner. */
export function parentText(childDs: string): string {
  return `$ORIGIN ${PARENT}
$TTL 300
${APEX}
@ TXT "apex"
www A 192.0.2.1
www TXT "a host"
MiXeD.CaSe A 192.0.2.2
long TXT ${LONG_TEXT}
a.ent.b.ent TXT "two empty non-terminals above"
*.wild TXT "from a wildcard"
host.wild A 192.0.2.3
*.deep.wild A 192.0.2.4
alias CNAME www
chain1 CNAME chain2
chain2 CNAME www.dn
dangling CNAME nowhere
toent CNAME ent.b.ent
tochild CNAME www.${CHILD}
toplain CNAME www.${PLAIN}
*.walias CNAME www
dn DNAME target
www.target A 192.0.2.5
dchild DNAME ${CHILD}
child NS ns.child
ns.child A 127.0.0.1
${childDs}
plain NS ns.plain
ns.plain A 127.0.0.1
a.entplain NS ns.a.entplain
ns.a.entplain A 127.0.0.1
`
}

export const childText: string = `$ORIGIN ${CHILD}
$TTL 300
${APEX}
www A 192.0.2.7
*.w TXT "in the child"
up CNAME www.${PARENT}
`

export const plainText: string = `$ORIGIN ${PLAIN}
$TTL 300
${APEX}
www A 192.0.2.8
`

interface ValidatedQuestion {
  readonly name: string
  readonly type: string
  readonly rcode: 'NOERROR' | 'NXDOMAIN'
  /** Ends of the answer section's lines other than RRSIG; empty when there are no data. */
  readonly answer: readonly string[]
  /** The answer is insecure: it lies in the unsigned child. */
  readonly insecure?: true
  /** The proof has an NSEC3 that covers the next closer name: opt-out makes it insecure (RFC 5155 §9.2). delv says so
   *  of positive answers only. `cut`, `above`: so it is when unsigned delegations have no NSEC3, and empty non-terminals above
   *  only such. */
  readonly covered?: 'always' | 'cut' | 'above'
}

function positive(name: string, type: string, ...answer: string[]): ValidatedQuestion {
  return { name, type, rcode: 'NOERROR', answer }
}

function nodata(name: string, type: string): ValidatedQuestion {
  return { name, type, rcode: 'NOERROR', answer: [] }
}

function nxdomain(name: string, type = 'A', ...answer: string[]): ValidatedQuestion {
  return { name, type, rcode: 'NXDOMAIN', answer, covered: 'always' }
}

const covered = (question: ValidatedQuestion): ValidatedQuestion => ({ ...question, covered: 'always' })
const cut = (question: ValidatedQuestion): ValidatedQuestion => ({ ...question, covered: 'cut' })
const above = (question: ValidatedQuestion): ValidatedQuestion => ({ ...question, covered: 'above' })
const insecure = (question: ValidatedQuestion): ValidatedQuestion => ({ ...question, insecure: true })

const QUESTIONS: readonly ValidatedQuestion[] = [
  positive('www.example.', 'A', 'www.example. A 192.0.2.1'),
  positive('example.', 'TXT', 'example. TXT "apex"'),
  positive('mixed.case.example.', 'A', ' A 192.0.2.2'),
  positive('long.example.', 'TXT', `long.example. TXT ${LONG_TEXT.trim()}`),
  positive('host.wild.example.', 'A', ' A 192.0.2.3'),
  nodata('www.example.', 'AAAA'),
  nodata('example.', 'AAAA'),
  nxdomain('nx.example.'),
  nxdomain('a.b.c.nx.example.'),
  nxdomain('x.www.example.'),
  nxdomain('x.host.wild.example.', 'TXT'),
  // Empty non-terminals.
  nodata('ent.b.ent.example.', 'A'),
  nodata('b.ent.example.', 'A'),
  nodata('ent.example.', 'A'),
  nodata('wild.example.', 'A'),
  nodata('deep.wild.example.', 'TXT'),
  nxdomain('x.ent.example.'),
  nxdomain('x.b.ent.example.'),
  // Wildcards.
  covered(positive('a.wild.example.', 'TXT', 'a.wild.example. TXT "from a wildcard"')),
  covered(positive('c.b.a.wild.example.', 'TXT', ' TXT "from a wildcard"')),
  positive('*.wild.example.', 'TXT', '*.wild.example. TXT "from a wildcard"'),
  covered(nodata('a.wild.example.', 'AAAA')),
  nodata('*.wild.example.', 'AAAA'),
  covered(positive('x.deep.wild.example.', 'A', ' A 192.0.2.4')),
  // Aliases.
  positive('alias.example.', 'A', 'alias.example. CNAME www.example.', 'www.example. A 192.0.2.1'),
  nodata('alias.example.', 'AAAA'),
  positive('alias.example.', 'CNAME', 'alias.example. CNAME www.example.'),
  positive(
    'chain1.example.',
    'A',
    ' CNAME chain2.example.',
    ' CNAME www.dn.example.',
    ' DNAME target.example.',
  ),
  nxdomain('dangling.example.', 'A', ' CNAME nowhere.example.'),
  nodata('toent.example.', 'A'),
  covered(positive('x.walias.example.', 'A', ' CNAME www.example.', ' A 192.0.2.1')),
  positive('dn.example.', 'DNAME', 'dn.example. DNAME target.example.'),
  nodata('dn.example.', 'A'),
  positive('www.dn.example.', 'A', ' DNAME target.example.', ' CNAME www.target.example.', ' A 192.0.2.5'),
  nxdomain('x.dn.example.', 'A', ' DNAME target.example.'),
  // The signed child, through its DS.
  positive('child.example.', 'DS', ' DS '),
  positive('child.example.', 'NS', 'child.example. NS ns.child.example.'),
  positive('www.child.example.', 'A', 'www.child.example. A 192.0.2.7'),
  nodata('www.child.example.', 'AAAA'),
  nxdomain('nx.child.example.'),
  nodata('w.child.example.', 'A'),
  covered(positive('x.w.child.example.', 'TXT', 'x.w.child.example. TXT "in the child"')),
  nodata('www.child.example.', 'DS'),
  positive('tochild.example.', 'A', ' CNAME www.child.example.', ' A 192.0.2.7'),
  positive('up.child.example.', 'A', ' CNAME www.example.', ' A 192.0.2.1'),
  positive('www.dchild.example.', 'A', ' DNAME child.example.', ' A 192.0.2.7'),
  // The unsigned child, and that it is unsigned.
  cut(nodata('plain.example.', 'DS')),
  cut(nodata('a.entplain.example.', 'DS')),
  above(nodata('entplain.example.', 'A')),
  insecure(positive('www.plain.example.', 'A', 'www.plain.example. A 192.0.2.8')),
  insecure(nodata('www.plain.example.', 'AAAA')),
  insecure(nxdomain('nx.plain.example.')),
  insecure(positive('toplain.example.', 'A', ' CNAME www.plain.example.', ' A 192.0.2.8')),
  // Types of the apex that the signer made.
  positive('example.', 'DNSKEY', ' DNSKEY 257 3 '),
  positive('example.', 'SOA', ' SOA ns.example. hostmaster.example. '),
  nodata('www.example.', 'DS'),
  nodata('www.example.', 'DNSKEY'),
]

/** What has no NSEC3: nothing, for all that the flag is set (ldns-signzone), unsigned delegations (we), those and the
 *  empty non-terminals above only such (dnssec-signzone). */
export type OptOut = 'no' | 'flag' | 'cuts' | 'cuts and above'

const OPEN: Readonly<Record<OptOut, readonly (string | undefined)[]>> = {
  no: [],
  flag: ['always'],
  cuts: ['always', 'cut'],
  'cuts and above': ['always', 'cut', 'above'],
}

/** What unbound makes of it, as `outcomeOf` has it. */
function unboundExpected(question: ValidatedQuestion, optOut: OptOut): string {
  const open = question.insecure === true || OPEN[optOut].includes(question.covered)
  return open ? question.rcode : `${question.rcode} AD`
}

function delvExpected(question: ValidatedQuestion, optOut: OptOut): Verdict {
  if (question.insecure === true) return 'insecure'
  const hasData = question.answer.length > 0 && question.rcode === 'NOERROR'
  return hasData && OPEN[optOut].includes(question.covered) ? 'insecure' : 'secure'
}

/** Asks unbound everything; what is not answered as it must be is listed. */
export async function unboundFaults(resolver: Resolver, optOut: OptOut): Promise<string[]> {
  const faults: string[] = []
  for (const question of QUESTIONS) {
    const { name, type } = question
    const message = await resolver.ask(name, type)
    const outcome = outcomeOf(message)
    const expected = unboundExpected(question, optOut)
    if (outcome !== expected) faults.push(`${name} ${type}: ${outcome}, expected ${expected}`)
    for (const part of missingFrom(message.answer, question)) faults.push(`${name} ${type}: ${part}`)
  }
  return faults
}

/** Processes of delv at a time. */
const DELV_AT_ONCE = 4

/** The same with delv. It asks one server for everything, so what is insecure is left out when that is elsewhere. */
export async function delvFaults(delv: Delv, optOut: OptOut, plainToo: boolean): Promise<string[]> {
  const faults: string[] = []
  const questions = QUESTIONS.filter(question => plainToo || question.insecure === undefined).values()
  const work = async (): Promise<void> => {
    for (const question of questions) {
      const { name, type } = question
      const { verdict, text } = await delv.ask(name, type)
      const expected = delvExpected(question, optOut)
      if (verdict !== expected) faults.push(`${name} ${type}: ${verdict}, expected ${expected}\n${text}`)
    }
  }
  await Promise.all(Array.from({ length: DELV_AT_ONCE }, work))
  return faults
}

/** Expected parts of the answer that are not there. RRSIGs and TTLs, which age in caches, are not looked at. */
function missingFrom(answer: readonly string[], question: ValidatedQuestion): string[] {
  const records = answer
    .filter(line => !/^\S+ \d+ RRSIG /.test(line))
    .map(line => line.replace(/ \d+ /, ' ').toLowerCase())
  if (question.answer.length === 0)
    return records.filter(line => !/ (cname|dname) /.test(line)).map(line => `unexpected ${line}`)
  return question.answer.filter(part => !records.some(line => line.includes(part.toLowerCase())))
}
