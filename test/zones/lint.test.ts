/** The rules of lint, each with a zone that breaks it, the fault it must give, and what NSD, Knot and BIND say of that
 *  zone: a rule is an error exactly where two of the three refuse to load. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { ERROR_RULES, type RuleCode, WARNING_RULES } from '../../zones/index.ts'
import { needs, toolPath } from '../support/tools.ts'
import { check, faultsOf, HEAD } from './zone-text.ts'

interface BrokenZone {
  readonly rule: RuleCode
  /** Behind HEAD, or a whole zone when `whole` is set. */
  readonly text: string
  readonly whole?: true
  /** Place and beginning of the fault. */
  readonly fault: string
  /** Who refuses it: b(ind), n(sd), k(not). */
  readonly refusedBy: string
  /** Why our severity is not what two of the three make it. */
  readonly waiver?: string
}

const DS = `DS 1 13 2 ${'0'.repeat(64)}`
const DNSKEY =
  'DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=='
const SOA = '@ 3600 SOA ns.test. host.test. 1 7200 3600 1209600 3600\n'
const longText = Array.from({ length: 300 }, (_, index) => `x TXT "${'x'.repeat(220)}${index}"\n`).join('')
const manyTypes = Array.from({ length: 256 }, (_, index) => `x TYPE${1000 + index} \\# 0\n`).join('')
const manyAddresses = Array.from({ length: 101 }, (_, index) => `x A 192.0.2.${index}\n`).join('')
const manySignatures = Array.from(
  { length: 256 },
  (_, index) => `x RRSIG A 13 2 3600 20300101000000 20200101000000 ${index} example. AAAA\n`,
).join('')

const BROKEN: readonly BrokenZone[] = [
  {
    rule: 'syntax',
    text: 'x A 192.0.2.256\n',
    fault: 'example.zone:4:5: error: "192.0.2.256"',
    refusedBy: 'bnk',
  },
  {
    rule: 'ttl-missing',
    whole: true,
    text: `@ NS ns.test.\n${SOA}`,
    fault: 'example.zone:1:1: warning: no TTL',
    refusedBy: 'b',
  },
  {
    rule: 'ttl-range',
    text: 'x 2147483648 A 192.0.2.1\n',
    fault: 'example.zone:4:1: warning: TTL 2147483648',
    refusedBy: '',
  },
  {
    rule: 'soa-missing',
    whole: true,
    text: '$TTL 60\n@ NS ns.test.\n',
    fault: 'example.zone: error: no SOA',
    refusedBy: 'bnk',
  },
  {
    rule: 'soa-double',
    text: '@ SOA ns.test. host.test. 2 7200 3600 1209600 3600\n',
    fault: 'example.zone:4 example. SOA: error: a second SOA',
    refusedBy: 'bn',
  },
  {
    rule: 'soa-below-apex',
    text: 'x SOA ns.test. host.test. 2 7200 3600 1209600 3600\n',
    fault: 'example.zone:4 x.example. SOA: error: SOA below',
    refusedBy: 'bn',
  },
  {
    rule: 'ns-missing',
    whole: true,
    text: SOA,
    fault: 'zone example.: warning: no NS records at the apex',
    refusedBy: 'b',
  },
  {
    rule: 'out-of-zone',
    text: 'x.test. A 192.0.2.1\n',
    fault: 'example.zone:4 x.test. A: warning: a record outside',
    refusedBy: 'n',
  },
  {
    rule: 'duplicate',
    text: 'x A 192.0.2.1\nx A 192.0.2.1\n',
    fault: 'example.zone:5 x.example. A: warning: a second A',
    refusedBy: '',
  },
  {
    rule: 'ttl-differs',
    text: 'x 1 A 192.0.2.1\nx 2 A 192.0.2.2\n',
    fault: 'example.zone:5 x.example. A: warning: the records',
    refusedBy: '',
  },
  {
    rule: 'rrset-too-large',
    text: longText,
    fault: 'example.zone:4 x.example. TXT: error: the TXT RRset takes',
    refusedBy: 'b',
    waiver: 'no message could carry it',
  },
  {
    rule: 'types-per-name',
    text: manyTypes,
    fault: 'example.zone:259 x.example. TYPE1255: error: 256 types',
    refusedBy: '',
    waiver: 'no node could hold them',
  },
  {
    rule: 'records-per-rrset',
    text: manyAddresses,
    fault: 'example.zone:4 x.example. A: warning: 101 records',
    refusedBy: '',
  },
  {
    rule: 'signatures-per-rrset',
    text: manySignatures,
    fault: 'example.zone:4 x.example. RRSIG: error: 256 RRSIG',
    refusedBy: '',
    waiver: 'no node could hold them',
  },
  {
    rule: 'cname-and-other',
    text: 'x CNAME y.test.\nx A 192.0.2.1\n',
    fault: 'example.zone:4 x.example. CNAME: error: CNAME and other data',
    refusedBy: 'bnk',
  },
  {
    rule: 'cname-and-other',
    text: 'd NS ns.test.\nd CNAME y.test.\n',
    fault: 'example.zone:5 d.example. CNAME: error: CNAME and other data',
    refusedBy: 'bnk',
  },
  {
    rule: 'cname-and-other',
    text: '@ CNAME y.test.\n',
    fault: 'example.zone:4 example. CNAME: error: CNAME and other data',
    refusedBy: 'bnk',
  },
  {
    rule: 'cname-double',
    text: 'x CNAME y.test.\nx CNAME z.test.\n',
    fault: 'example.zone:4 x.example. CNAME: error: two CNAME',
    refusedBy: 'bnk',
  },
  {
    rule: 'dname-double',
    text: 'x DNAME y.test.\nx DNAME z.test.\n',
    fault: 'example.zone:4 x.example. DNAME: error: two DNAME',
    refusedBy: 'bnk',
  },
  {
    rule: 'dname-and-ns',
    text: 'x DNAME y.test.\nx NS ns.test.\n',
    fault: 'example.zone:4 x.example. DNAME: warning: DNAME and NS',
    refusedBy: 'k',
  },
  {
    rule: 'below-dname',
    text: 'x DNAME y.test.\na.x A 192.0.2.1\n',
    fault: 'example.zone:5 a.x.example.: error: a name below a DNAME',
    refusedBy: 'nk',
  },
  {
    rule: 'below-dname',
    text: '@ DNAME y.test.\na A 192.0.2.1\n',
    fault: 'example.zone:5 a.example.: error: a name below a DNAME',
    refusedBy: 'nk',
  },
  {
    rule: 'wildcard-dname',
    text: '*.x DNAME y.test.\n',
    fault: 'example.zone:4 *.x.example. DNAME: warning: DNAME at a wildcard',
    refusedBy: '',
  },
  {
    rule: 'occluded',
    text: 'd NS ns.test.\nx.d TXT x\n',
    fault: 'example.zone:5 x.d.example.: warning: data below a zone cut',
    refusedBy: '',
  },
  {
    rule: 'wildcard-ns',
    text: '*.x NS ns.test.\n',
    fault: 'example.zone:4 *.x.example. NS: warning: NS at a wildcard',
    refusedBy: 'b',
  },
  {
    rule: 'ds-without-ns',
    text: `x ${DS}\n`,
    fault: 'example.zone:4 x.example. DS: warning: DS without NS',
    refusedBy: '',
  },
  {
    rule: 'ds-at-apex',
    text: `@ ${DS}\n`,
    fault: 'example.zone:4 example. DS: warning: DS at the apex',
    refusedBy: 'b',
  },
  {
    rule: 'glue-missing',
    text: 'd NS ns.d\n',
    fault: 'example.zone:4 d.example. NS: warning: no address of ns.d.example.',
    refusedBy: '',
  },
  {
    rule: 'ns-is-alias',
    text: 'd NS c\nc CNAME y.test.\n',
    fault: 'example.zone:4 d.example. NS: warning: NS points at c.example., an alias',
    refusedBy: '',
  },
  {
    rule: 'mx-is-alias',
    text: 'd MX 1 c\nc CNAME y.test.\n',
    fault: 'example.zone:4 d.example. MX: warning: MX points at c.example., an alias',
    refusedBy: '',
  },
  {
    rule: 'srv-is-alias',
    text: '_d._tcp SRV 1 1 1 c\nc CNAME y.test.\n',
    fault: 'example.zone:4 _d._tcp.example. SRV: warning: SRV points at c.example., an alias',
    refusedBy: '',
  },
  {
    rule: 'target-missing',
    text: 'd MX 1 c\n',
    fault: 'example.zone:4 d.example. MX: warning: MX points at c.example., which has no address',
    refusedBy: '',
  },
  {
    rule: 'dnssec-in-unsigned',
    text: '@ NSEC3PARAM 1 0 0 -\n',
    fault: 'example.zone:2 example.: warning: NSEC, NSEC3 or NSEC3PARAM and no RRSIG',
    refusedBy: '',
  },
  {
    rule: 'dnssec-below-apex',
    text: `x ${DNSKEY}\n`,
    fault: 'example.zone:4 x.example.: warning: DNSKEY, NSEC3PARAM or ZONEMD below',
    refusedBy: '',
  },
  {
    rule: 'bitmap-wrong',
    text: 'x A 192.0.2.1\nx NSEC example. AAAA RRSIG NSEC\nx RRSIG A 13 2 3600 20300101000000 20200101000000 1 example. AAAA\n',
    fault: 'example.zone:5 x.example. NSEC: warning: NSEC lists AAAA RRSIG NSEC; expected A RRSIG NSEC',
    refusedBy: '',
  },
]

function zoneText({ text, whole }: BrokenZone): string {
  return whole === true ? text : HEAD + text
}

for (const broken of BROKEN) {
  test(`${broken.rule}: ${broken.text.slice(0, 60).replaceAll('\n', ' | ')}`, t => {
    const faults = faultsOf(zoneText(broken))
    t.true(
      faults.some(line => line.startsWith(broken.fault)),
      faults.join('\n'),
    )
    t.true(faults.some(line => line.endsWith(`[${broken.rule}]`)))
    t.is('faults' in check(zoneText(broken)), broken.rule in ERROR_RULES)
  })
}

test('every rule has a zone that breaks it', t => {
  // `rdata` is for records of programs, and `more-faults` no rule of its own: content.test.ts, zonefile.test.ts.
  const tested = new Set<string>([...BROKEN.map(({ rule }) => rule), 'rdata', 'more-faults'])
  t.deepEqual(
    [...Object.keys(ERROR_RULES), ...Object.keys(WARNING_RULES)].filter(rule => !tested.has(rule)),
    [],
  )
})

/** kzonecheck fails on findings that do not keep knotd from loading a zone (knot.conf(5), semantic-checks: "extra
 *  checks"); these words are theirs. */
const KNOT_EXTRA =
  /missing NS at the zone apex|missing glue|NS record .*CNAME|NSEC|RRSIG|DNSKEY|signature|DS record/i

function refusals(directory: string, text: string): string {
  const file = join(directory, 'example.zone')
  writeFileSync(file, `$ORIGIN example.\n${text}`)
  const run = (tool: string, ...words: string[]): { status: number | null; output: string } => {
    const { status, stdout, stderr } = spawnSync(toolPath(tool)!, words, { encoding: 'utf8' })
    return { status, output: stdout + stderr }
  }
  const bind = run('named-checkzone', '-i', 'none', '-k', 'ignore', 'example.', file).status !== 0
  const nsd = run('nsd-checkzone', 'example.', file).status !== 0
  const knot = run('kzonecheck', '-o', 'example.', file)
  const complaints = knot.output.split('\n').filter(line => /error:|\[/.test(line) && !KNOT_EXTRA.test(line))
  const refused = knot.status !== 0 && complaints.length > 0
  return `${bind ? 'b' : ''}${nsd ? 'n' : ''}${refused ? 'k' : ''}`
}

test('a rule is an error where two of NSD, Knot and BIND refuse to load', t => {
  if (!needs(t, 'named-checkzone', 'nsd-checkzone', 'kzonecheck')) return
  const directory = mkdtempSync(join(tmpdir(), 'conclave-lint-'))
  try {
    for (const broken of BROKEN) {
      const refusedBy = refusals(directory, zoneText(broken))
      const label = `${broken.rule}: ${broken.text.slice(0, 60)}`
      t.is(`${label} ${refusedBy}`, `${label} ${broken.refusedBy}`)
      if (broken.waiver === undefined) t.is(broken.rule in ERROR_RULES, refusedBy.length >= 2, label)
    }
  } finally {
    rmSync(directory, { recursive: true })
  }
})

/** Behind HEAD: zones that have no fault. */
const FINE: readonly string[] = [
  'd NS ns.d\nns.d A 192.0.2.1\n',
  'd NS ns.d.test.\nd A 192.0.2.1\n',
  'd NS ns.e\ne NS ns.test.\n',
  'd NS ns.e\ne NS ns.e\nns.e AAAA 2001:db8::1\n',
  'x MX 0 .\n_x._tcp SRV 0 0 0 .\n',
  'x MX 1 y.w\n*.w A 192.0.2.1\n',
  'x MX 1 y.w\nw DNAME w.test.\n',
  '@ DNAME y.test.\n',
  'x DNAME y.test.\nx A 192.0.2.1\nxx A 192.0.2.1\n',
  `d NS ns.test.\nd ${DS}\n`,
  '*.w CNAME y.test.\n',
  `@ ${DNSKEY}\n`,
  'd NS ns.test.\nd2 A 192.0.2.1\nd-x TXT x\n',
]

for (const text of FINE) {
  test(`no fault: ${text.replaceAll('\n', ' | ')}`, t => {
    t.deepEqual(faultsOf(HEAD + text), [])
  })
}

test('RFC 4035 §2.3: the NSEC of a zone cut lists NS and DS, not the addresses there', t => {
  const signature = 'RRSIG NSEC 13 2 3600 20300101000000 20200101000000 1 example. AAAA'
  t.deepEqual(faultsOf(`${HEAD}d NS d\nd A 192.0.2.1\nd NSEC example. NS RRSIG NSEC\nd ${signature}\n`), [])
})

test('what lies below names that only look like a zone cut is not occluded', t => {
  t.deepEqual(faultsOf(`${HEAD}d NS ns.test.\n$ORIGIN dd\nx TXT x\n`), [])
})

test('RFC 5155 §3: below a DNAME at the apex stand owners of NSEC3, and nothing else', t => {
  const hash = '0p9mhaveqvm6t7vbl5lop2u3t2rp3tom'
  const signature = (type: string): string =>
    `RRSIG ${type} 13 2 3600 20300101000000 20250101000000 1 example. AA==`
  const text = `${HEAD}@ DNAME y.test.\n@ ${signature('DNAME')}\n${hash} NSEC3 1 0 0 - ${hash} NS SOA DNAME RRSIG\n${hash} ${signature('NSEC3')}\n`
  t.deepEqual(faultsOf(text), [])
  t.regex(faultsOf(`${text}${hash} TXT x\n`).join(), /error: a name below a DNAME/)
  const deeper = text.replace('@ DNAME', 'x DNAME').replaceAll(`\n${hash} `, `\n${hash}.x `)
  t.regex(faultsOf(deeper).join(), /error: a name below a DNAME/)
})
