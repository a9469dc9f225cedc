/** All servers asked: which may be left out, and that no other is. */
import test from 'ava'
import { askEach, fault, type Said, said } from '../../server/ask-each.ts'
import type { Target } from '../../server/ask-find.ts'

function target(host: string, ...names: readonly string[]): Target {
  return { kind: 'address', server: host, address: { host, port: 53 }, names }
}

const NO_ROUTE = fault('no route', true)

/** The servers in the result, each with its fault behind it. */
async function outcome(
  targets: readonly Target[],
  answers: Readonly<Record<string, Said<string>>>,
): Promise<string[]> {
  const all = await askEach(targets, ({ host }) => Promise.resolve(answers[host] ?? said('answer')))
  return all.map(one => (one.kind === 'fault' ? `${one.server}: ${one.fault}` : one.server))
}

test('an address without a route is left out when its name answered at another', async t => {
  const targets = [target('192.0.2.1', 'ns1.'), target('2001:db8::1', 'ns1.')]
  t.deepEqual(await outcome(targets, { '2001:db8::1': NO_ROUTE }), ['192.0.2.1'])
})

test('it is a fault when the name did not answer, when another of its names did not, and when it was given', async t => {
  const first = [target('192.0.2.1', 'ns1.'), target('2001:db8::1', 'ns1.')]
  t.deepEqual(await outcome(first, { '192.0.2.1': fault('REFUSED'), '2001:db8::1': NO_ROUTE }), [
    '192.0.2.1: REFUSED',
    '2001:db8::1: no route',
  ])
  const shared = [target('192.0.2.1', 'ns1.'), target('2001:db8::1', 'ns1.', 'ns2.')]
  t.deepEqual(await outcome(shared, { '2001:db8::1': NO_ROUTE }), ['192.0.2.1', '2001:db8::1: no route'])
  const given = [target('192.0.2.1'), target('2001:db8::1')]
  t.deepEqual(await outcome(given, { '2001:db8::1': NO_ROUTE }), ['192.0.2.1', '2001:db8::1: no route'])
})

test('an address that was reached and did not answer is never left out', async t => {
  const targets: Target[] = [
    target('192.0.2.1', 'ns1.'),
    target('192.0.2.2', 'ns1.'),
    { kind: 'fault', server: 'ns2.', fault: 'it has no address' },
  ]
  t.deepEqual(await outcome(targets, { '192.0.2.2': fault('no answer') }), [
    '192.0.2.1',
    '192.0.2.2: no answer',
    'ns2.: it has no address',
  ])
})
