/** What is built is judged by others: dnssec-verify (BIND), ldns-verify-zone, kzonecheck (Knot). ldns 1.8.3 never ends on
 *  some opt-out zones with empty non-terminals, so a judge that takes long says nothing. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import type { DenialMode } from '../../signer/index.ts'
import { nameFromText } from '../../zones/index.ts'
import { cskOf, hasProgram, settingsOf, TestZone, textOf } from './build-support.ts'
import { RandomZone } from './random-zones.ts'

const directory = mkdtempSync(join(tmpdir(), 'conclave-judges-'))
test.after.always(() => rmSync(directory, { recursive: true }))

const JUDGE_MILLISECONDS = 2000

function judge(program: string, words: readonly string[]): string {
  try {
    execFileSync(program, words, { stdio: ['ignore', 'pipe', 'pipe'], timeout: JUDGE_MILLISECONDS })
    return ''
  } catch (error) {
    const { stdout, stderr, code } = error as { stdout: Buffer; stderr: Buffer; code?: string }
    // Whether the signal ended it, or it ended itself when that came.
    if (code === 'ETIMEDOUT') return ''
    return `${program}: ${stdout}${stderr}`
  }
}

const unixToText = (unix: number): string => new Date(unix * 1000).toISOString().replace(/[-:T]|\..*/g, '')

/** Faults that the judges find. */
function judgements(text: string, origin: string, name: string, at: number): string[] {
  const file = join(directory, name)
  writeFileSync(file, text)
  const faults: string[] = []
  // Names with unusual characters are what is tested: -z only lets a CSK do both jobs.
  if (hasProgram('dnssec-verify')) faults.push(judge('dnssec-verify', ['-q', '-z', '-o', origin, file]))
  if (hasProgram('ldns-verify-zone')) {
    faults.push(judge('ldns-verify-zone', ['-ZZ', '-V', '1', '-t', unixToText(at), file]))
  }
  if (hasProgram('kzonecheck'))
    faults.push(judge('kzonecheck', ['-o', origin, '-d', 'on', '-t', `${at}`, file]))
  return faults.filter(fault => fault !== '')
}

const ALGORITHMS = [8, 10, 13, 14, 15, 16]
const DENIALS: readonly DenialMode[] = ['nsec', 'nsec3', 'opt-out']

for (const denial of DENIALS) {
  test(`RFC 4035 §2: other validators accept random zones, ${denial}`, async t => {
    const now = Math.floor(Date.now() / 1000)
    for (const [index, algorithm] of [...ALGORITHMS, 13, 13].entries()) {
      const apex = nameFromText('example.')
      const { keys } = cskOf(apex, algorithm)
      const zone = new TestZone('example.', settingsOf(keys, { denial, now }))
      const seed = 100 * index + DENIALS.indexOf(denial)
      const random = new RandomZone(seed, 40)
      await zone.load(random.text(true))
      const faults = judgements(textOf(zone), 'example.', `${denial}-${index}.zone`, now)
      t.deepEqual(faults, [], `seed ${seed}\n${random.text(true)}`)
    }
  })
}
