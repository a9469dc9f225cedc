/** Sizes of responses: what is left out, what is truncated, what is pointed to. */
import test from 'ava'
import { askerOf } from '../support/ask.ts'
import { queryOf, readMessage } from '../support/message.ts'
import { parseRecords, storeOf, withSignatures } from '../support/zone.ts'

const MX_RECORDS = 17
const bigText = Array.from({ length: 30 }, (_, index) => `big TXT "${String(index).padStart(60, 'x')}"`).join(
  '\n',
)
const delegation = Array.from({ length: 12 }, (_, index) => {
  const host = `ns${index}.sub.host`
  return `sub NS ${host}.sub\n${host}.sub A 192.0.2.${index}\n${host}.sub AAAA 2001:db8::${index}`
}).join('\n')
const mxs = Array.from(
  { length: MX_RECORDS },
  (_, index) => `mx MX ${index} host${index}.mx\nhost${index}.mx A 192.0.2.${index}\n`,
)
const sizeZone = `$ORIGIN size.test.\n$TTL 300\n@ SOA ns x 1 2 3 4 5\n@ NS ns\n${bigText}\n${delegation}\n${mxs.join('')}`
const sizes = askerOf(await storeOf(withSignatures(parseRecords(sizeZone))))

test('RFC 2181 §9: an RRset that does not fit is left out whole, with TC; over TCP it is there', t => {
  const udp = sizes.ask('big.size.test.', 'TXT')
  t.true(udp.truncated)
  t.deepEqual(udp.answer, [])
  const tcp = sizes.ask('big.size.test.', 'TXT', { tcp: true })
  t.false(tcp.truncated)
  t.is(tcp.answer.length, 31)
})

test('RFC 4035 §3.1.1: when only the RRSIG does not fit, the RRset stays and TC is set', t => {
  let without = 0
  for (let udpOctets = 512; udpOctets < 700; udpOctets++) {
    const { answer, truncated } = sizes.ask('mx.size.test.', 'MX', { udpOctets })
    t.is(truncated, answer.length < MX_RECORDS + 1, `${udpOctets}`)
    if (answer.length === MX_RECORDS) without++
  }
  t.true(without > 0)
})

test('RFC 2181 §9: additional data that do not fit are left out in silence', t => {
  const message = sizes.ask('mx.size.test.', 'MX', { udpOctets: 512, dnssecOk: false })
  t.false(message.truncated)
  t.is(message.answer.length, MX_RECORDS)
  t.true(message.additional.length < MX_RECORDS)
})

test('RFC 9471 §3.1: glue below the cut that does not fit sets TC', t => {
  const message = sizes.ask('www.sub.size.test.', 'A', { udpOctets: 0 })
  t.true(message.truncated)
  t.is(message.authority.length, 12)
  const all = sizes.ask('www.sub.size.test.', 'A', { tcp: true })
  t.false(all.truncated)
  t.is(all.additional.length, 24)
})

test('RFC 6891 §6.2.5, RFC 9715 §3.1: sizes are kept for every name and size', async t => {
  const names = [
    'size.test.',
    'big.size.test.',
    'mx.size.test.',
    'a.sub.size.test.',
    'none.size.test.',
    'SUB.size.test.',
  ]
  const wide = askerOf(await storeOf(withSignatures(parseRecords(sizeZone))), 9999)
  for (let udpOctets = 0; udpOctets < 1500; udpOctets += 7) {
    for (const name of names) {
      const options = udpOctets === 0 ? {} : { udpOctets, dnssecOk: true }
      const query = queryOf(name, name.startsWith('mx') ? 'MX' : 'TXT', options)
      const octets = wide.send(query)
      t.true(octets.length <= Math.max(512, Math.min(udpOctets, 1400)), `${name} ${udpOctets}`)
      readMessage(octets)
    }
  }
})

test('RFC 1035 §4.1.4: names far into a message are not pointed to', async t => {
  const long = Array.from({ length: 80 }, (_, index) => `many TXT "${'t'.repeat(240)}${index}"`).join('\n')
  const text = `$ORIGIN far.test.\n@ SOA ns x 1 2 3 4 5\n@ NS ns\n${long}\n* MX 1 m\n${Array.from({ length: 700 }, (_, i) => `mx MX 1 a${i}.b${i}.c\na${i}.b${i}.c A 192.0.2.1\n`).join('')}`
  const zone = askerOf(await storeOf(withSignatures(parseRecords(text))))
  for (const [name, type] of [
    ['many.far.test.', 'TXT'],
    ['mx.far.test.', 'MX'],
  ] as const) {
    const message = zone.ask(name, type, { tcp: true })
    t.false(message.truncated)
    t.is(message.answer.length, type === 'TXT' ? 81 : 701)
  }
})
