/** Benchmarks are only worth what their zones and their ratios are: the same zone every time, ours against the best. */
import test from 'ava'
import { chart } from '../bench/plot.ts'
import { ratioToBest } from '../bench/report.ts'
import { benchZone } from '../bench/zones.ts'

test('the same seed makes the same zone and the same questions', t => {
  const first = benchZone(300, 'mixed', 7)
  t.deepEqual(benchZone(300, 'mixed', 7), first)
  t.not(benchZone(300, 'mixed', 8).text, first.text)
})

test('a benchmark zone has the records it says, and questions of all four kinds', t => {
  const zone = benchZone(300, 'mixed', 7)
  const lines = zone.text.split('\n').filter(line => line !== '' && !line.startsWith('$'))
  t.is(lines.length, zone.records)
  t.true([' A ', ' AAAA ', ' MX ', ' NS ', ' DS '].every(type => lines.some(line => line.includes(type))))
  const owners = new Set(lines.map(line => line.split(' ')[0]))
  const isAsked = (pattern: RegExp, labels: number): boolean =>
    zone.queries
      .split('\n')
      .slice(0, 100)
      .some(line => pattern.test(line) && owners.has(line.split('.')[labels]))
  t.true(isAsked(/^\w+\.bench\.test A$/, 0), 'positive')
  t.true(isAsked(/^www\.\w+\.bench\.test A$/, 1), 'referral')
  t.regex(zone.queries, /-no\.bench\.test A/)
  t.regex(zone.queries, /\.wild\.bench\.test A/)
})

test('the ratio is that of our median to the best median of the others', t => {
  const values = { conclave: [9, 1, 2], nsd: [4, 5, 90], knot: [8, 8, 8] }
  t.is(ratioToBest({ quantity: 'CPU', unit: 's', values }), 2 / 5)
  t.is(ratioToBest({ quantity: 'throughput', unit: '1/s', moreIsBetter: true, values }), 2 / 8)
})

test('there is no ratio without a peer, without ours, or to nothing', t => {
  const ratio = (values: Record<string, number[]>): number | undefined =>
    ratioToBest({ quantity: 'CPU', unit: 's', values })
  t.is(ratio({ conclave: [1] }), undefined)
  t.is(ratio({ conclave: [1], nsd: [] }), undefined)
  t.is(ratio({ nsd: [1], knot: [1] }), undefined)
  t.is(ratio({ conclave: [1], nsd: [0] }), undefined)
})

test('a chart has a line a series, every tick within the frame, and no markup from its words', t => {
  const svg = chart({
    title: 'a < b & c',
    x: { label: 'names', scale: 'log' },
    y: { label: 's', scale: 'linear' },
    series: [
      {
        name: 'one',
        points: [
          [1000, 0.5],
          [10_000, 2],
          [200_000, 31],
        ],
      },
      {
        name: 'two',
        points: [
          [1000, 0.1],
          [10_000, 0.9],
        ],
      },
    ],
  })
  t.true(svg.includes('<title>a &lt; b &amp; c</title>'))
  t.is(svg.match(/<path [^>]*fill="none"/g)?.length, 2)
  for (const tick of ['1,000', '10,000', '100,000', '1,000,000', '0', '10', '40'])
    t.true(svg.includes(`>${tick}</text>`), tick)
  const places = [...svg.matchAll(/<(?:text|circle|rect) [^>]*?c?x="([\d.]+)" c?y="([\d.]+)"/g)]
  t.true(places.length > 10)
  for (const [, x, y] of places) t.true(Number(x) <= 720 && Number(y) <= 400)
})
