/** Slips of the finger, and what is none. */
import test from 'ava'
import { nearest } from '../../base/index.ts'

const KNOWN = [
  'algorithm',
  'denial',
  'signature-validity',
  'jitter',
  'keys',
  'cds',
  'sign',
  'zsk-lifetime',
  'ksk-lifetime',
]

test('one letter wrong, missing, too many, or two swapped', t => {
  for (const [word, meant] of [
    ['algoritm', 'algorithm'],
    ['denail', 'denial'],
    ['jiter', 'jitter'],
    ['key', 'keys'],
    ['csd', 'cds'],
    ['cdsss', 'cds'],
    ['jitterbug', 'jitter'],
    ['signature', 'signature-validity'],
    ['zks-lifetime', 'zsk-lifetime'],
  ] as const)
    t.is(nearest(word, KNOWN), meant)
})

test('case, hyphens and underscores do not count', t => {
  t.is(nearest('signatureValidity', KNOWN), 'signature-validity')
  t.is(nearest('SIGNATURE_VALIDITY', KNOWN), 'signature-validity')
})

test('what is near to nothing is nothing', t => {
  for (const word of ['', 'x', 'forwarders', 'recursion', '-', 'x'.repeat(1000)])
    t.is(nearest(word, KNOWN), undefined, word)
  t.is(nearest('a', []), undefined)
})
