/** RFC 6672: every substitution of its table 1, and the zones and responses that it prints. */

import test from 'ava'
import { askerOf } from '../support/ask.ts'
import { parseRecords, signedStoreOf, storeOf, withSignatures } from '../support/zone.ts'

const APEX = 'SOA ns.elsewhere. x. 1 2 3 4 5\n@ NS ns.elsewhere.\n'

function withoutTtl(lines: readonly string[]): string[] {
  return lines.map(line => line.replace(/^(\S+) \d+ /, '$1 '))
}

/** Table 1: the zone is that of the DNAME's owner, or the one above it where the owner has labels of its own. */
const SUBSTITUTIONS: readonly [qname: string, owner: string, target: string, result: string | undefined][] = [
  ['com.', 'example.com.', 'example.net.', undefined],
  ['example.com.', 'example.com.', 'example.net.', undefined],
  ['a.example.com.', 'example.com.', 'example.net.', 'a.example.net.'],
  ['a.b.example.com.', 'example.com.', 'example.net.', 'a.b.example.net.'],
  ['ab.example.com.', 'b.example.com.', 'example.net.', undefined],
  ['foo.example.com.', 'example.com.', 'example.net.', 'foo.example.net.'],
  ['a.x.example.com.', 'x.example.com.', 'example.net.', 'a.example.net.'],
  ['a.example.com.', 'example.com.', 'y.example.net.', 'a.y.example.net.'],
  ['cyc.example.com.', 'example.com.', 'example.com.', 'cyc.example.com.'],
  ['cyc.example.com.', 'example.com.', 'c.example.com.', 'cyc.c.example.com.'],
  ['shortloop.x.x.', 'x.', '.', 'shortloop.x.'],
  ['shortloop.x.', 'x.', '.', 'shortloop.'],
]

for (const [qname, owner, target, result] of SUBSTITUTIONS) {
  test(`RFC 6672 table 1: ${qname} with ${owner} DNAME ${target} is ${result ?? 'no match'}`, async t => {
    const apex = owner.endsWith('example.com.') ? 'example.com.' : owner
    const asker = askerOf(await storeOf(`$ORIGIN ${apex}\n@ ${APEX}${owner} DNAME ${target}\n`))
    const answer = withoutTtl(asker.ask(qname, 'A').answer)
    if (result === undefined) return t.deepEqual(answer, [])
    t.deepEqual(answer.slice(0, 2), [`${owner} DNAME ${target}`, `${qname} CNAME ${result}`])
    // A loop ends.
    t.true(answer.length < 40)
  })
}

test('RFC 6672 table 1, note 0: asked for DNAME, its owner answers', async t => {
  const asker = askerOf(await storeOf(`$ORIGIN example.com.\n@ ${APEX}@ DNAME example.net.\n`))
  t.deepEqual(withoutTtl(asker.ask('example.com.', 'DNAME').answer), ['example.com. DNAME example.net.'])
})

test('RFC 6672 §3.1: the synthesised CNAME has the TTL of the DNAME', async t => {
  const asker = askerOf(await storeOf(`$ORIGIN example.com.\n@ ${APEX}d 77 DNAME example.net.\n`))
  t.deepEqual(asker.ask('a.d.example.com.', 'A').answer, [
    'd.example.com. 77 DNAME example.net.',
    'a.d.example.com. 77 CNAME a.example.net.',
  ])
})

test('RFC 2181 §5: a chain that comes through a DNAME twice has it once, with its signature', async t => {
  const zone = `$ORIGIN example.com.\n@ ${APEX}old DNAME new\na.new CNAME b.old\nb.new A 192.0.2.1\n`
  const { answer } = askerOf(await signedStoreOf(zone, 'nsec')).ask('a.old.example.com.', 'A')
  const types = answer.map(line => line.split(' ').slice(0, 4).join(' ').replace(/ \d+ /, ' '))
  t.deepEqual(types, [
    'old.example.com. DNAME new.example.com.',
    'old.example.com. RRSIG DNAME',
    'a.old.example.com. CNAME a.new.example.com.',
    'a.new.example.com. CNAME b.old.example.com.',
    'a.new.example.com. RRSIG CNAME',
    'b.old.example.com. CNAME b.new.example.com.',
    'b.new.example.com. A 192.0.2.1',
    'b.new.example.com. RRSIG A',
  ])
})

const BAR_ZONE = `$ORIGIN example.com.\n@ ${APEX}bar A 192.0.2.1\nbar DNAME bar.example.net.\ndub A 192.0.2.2\n`

test('RFC 6672 §5.3.4.2: beside a DNAME a name error, with the DNAME in the bitmap', async t => {
  const { rcode, authority } = askerOf(await signedStoreOf(BAR_ZONE, 'nsec')).ask('cee.example.com.', 'A')
  t.is(rcode, 3)
  const [nsec, rrsig] = withoutTtl(authority).filter(line => line.startsWith('bar.example.com. '))
  t.is(nsec, 'bar.example.com. NSEC dub.example.com. A DNAME RRSIG NSEC')
  t.true(rrsig?.startsWith('bar.example.com. RRSIG NSEC '))
})

test('RFC 6672 §5.3.4.1, §5.3.4.3: below a DNAME no name error but the signed DNAME and an unsigned CNAME', async t => {
  for (const denial of ['nsec', 'nsec3'] as const) {
    const asker = askerOf(await signedStoreOf(BAR_ZONE, denial))
    const { rcode, answer, authority } = asker.ask('foo.bar.example.com.', 'A')
    t.is(rcode, 0)
    const shown = withoutTtl(answer).map(line => line.replace(/^(\S+ RRSIG \S+) .*/, '$1'))
    t.deepEqual(shown, [
      'bar.example.com. DNAME bar.example.net.',
      'bar.example.com. RRSIG DNAME',
      'foo.bar.example.com. CNAME foo.bar.example.net.',
    ])
    t.deepEqual(authority, [])
  }
})

test('RFC 6672 §6.1: an organisation is renamed', async t => {
  const old = `$ORIGIN frobozz.example.net.\n@ ${APEX}@ DNAME frobozz-division.acme.example.com.\n@ MX 10 mailhub.acme.example.com.\n`
  const acme = `$ORIGIN acme.example.com.\n@ ${APEX}www.frobozz-division A 192.0.2.1\nmailhub A 192.0.2.2\n`
  const asker = askerOf(await storeOf(old, acme))
  t.deepEqual(withoutTtl(asker.ask('www.frobozz.example.net.', 'A').answer), [
    'frobozz.example.net. DNAME frobozz-division.acme.example.com.',
    'www.frobozz.example.net. CNAME www.frobozz-division.acme.example.com.',
    'www.frobozz-division.acme.example.com. A 192.0.2.1',
  ])
  t.deepEqual(withoutTtl(asker.ask('frobozz.example.net.', 'MX').answer), [
    'frobozz.example.net. MX 10 mailhub.acme.example.com.',
  ])
})

const SHORT_PREFIX = `$ORIGIN 0.192.in-addr.arpa.
@ ${APEX}8/22 NS ns.slash-22-holder.example.com.
8 DNAME 8.8/22
9 DNAME 9.8/22
10 DNAME 10.8/22
11 DNAME 11.8/22
`
const SHORT_PREFIX_ANSWER = [
  '9.0.192.in-addr.arpa. DNAME 9.8/22.0.192.in-addr.arpa.',
  '33.9.0.192.in-addr.arpa. CNAME 33.9.8/22.0.192.in-addr.arpa.',
]

test('RFC 6672 §6.2: a short prefix is delegated: the referral behind the CNAME', async t => {
  const { answer, authority } = askerOf(await storeOf(SHORT_PREFIX)).ask('33.9.0.192.in-addr.arpa.', 'PTR')
  t.deepEqual(withoutTtl(answer), SHORT_PREFIX_ANSWER)
  t.deepEqual(withoutTtl(authority), ['8/22.0.192.in-addr.arpa. NS ns.slash-22-holder.example.com.'])
})

test('RFC 6672 §6.2: a short prefix is delegated: the answer where both zones are served', async t => {
  const holder = `$ORIGIN 8/22.0.192.in-addr.arpa.\n@ ${APEX}33.9 PTR somehost.slash-22-holder.example.com.\n`
  const { answer } = askerOf(await storeOf(SHORT_PREFIX, holder)).ask('33.9.0.192.in-addr.arpa.', 'PTR')
  t.deepEqual(withoutTtl(answer), [
    ...SHORT_PREFIX_ANSWER,
    '33.9.8/22.0.192.in-addr.arpa. PTR somehost.slash-22-holder.example.com.',
  ])
})

// The RFC's third $ORIGIN is in-addr.customer.example., where its DNAME says in-addr.customer.example.com.: a slip.
test('RFC 6672 §6.3: a network is renumbered: DNAMEs through three zones', async t => {
  const asker = askerOf(
    await storeOf(
      `$ORIGIN new-style.in-addr.arpa.\n@ ${APEX}189.190 DNAME in-addr.example.net.\n`,
      `$ORIGIN in-addr.example.net.\n@ ${APEX}188 DNAME in-addr.customer.example.com.\n`,
      `$ORIGIN in-addr.customer.example.com.\n@ ${APEX}1 PTR www.customer.example.com.\n`,
    ),
  )
  t.deepEqual(withoutTtl(asker.ask('1.188.189.190.new-style.in-addr.arpa.', 'PTR').answer), [
    '189.190.new-style.in-addr.arpa. DNAME in-addr.example.net.',
    '1.188.189.190.new-style.in-addr.arpa. CNAME 1.188.in-addr.example.net.',
    '188.in-addr.example.net. DNAME in-addr.customer.example.com.',
    '1.188.in-addr.example.net. CNAME 1.in-addr.customer.example.com.',
    '1.in-addr.customer.example.com. PTR www.customer.example.com.',
  ])
})

test('RFC 6672 §2.2: a DNAME that makes a name too long is the proof of YXDOMAIN, with its signature', async t => {
  const label = 'l'.repeat(60)
  const target = `${label}.${label}.${label}.${label}.t.` // 247 octets: a label of 7 fits in front, 8 do not.
  const text = `$ORIGIN example.com.\n@ ${APEX}d DNAME ${target}\n`
  const asker = askerOf(await storeOf(withSignatures(parseRecords(text))))
  t.is(asker.ask('seven77.d.example.com.', 'A').rcode, 0)
  const { rcode, answer } = asker.ask('eight888.d.example.com.', 'A')
  t.is(rcode, 6)
  t.deepEqual(
    answer.map(line => line.split(' ')[2]),
    ['DNAME', 'RRSIG'],
  )
})
