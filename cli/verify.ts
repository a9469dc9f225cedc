/** `conclave verify`: every fault of a signed zone file; exit code 1 on any. */
import { availableParallelism } from 'node:os'
import type { Command } from 'commander'
import { buildVersion, CryptoPool, verifyZone } from '../signer/index.ts'
import { rdataFromText, TYPE } from '../zones/index.ts'
import { durationSeconds, timeUnix, usage } from './options.ts'
import { createOutput } from './output.ts'
import { readZone, tellFaults } from './zone-input.ts'

interface VerifyWords {
  readonly origin?: string
  readonly at?: string
  readonly validFor?: string
  readonly ds?: readonly string[]
}

export async function verifyCommand(path: string, words: VerifyWords, command: Command): Promise<void> {
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const now = Date.now() / 1000
  const at = words.at === undefined ? now : timeUnix(words.at, now)
  const validForSeconds = words.validFor === undefined ? 0 : durationSeconds(words.validFor)
  const ds = words.ds?.map(dsRecord)
  const input = readZone(path, words.origin, output)
  if (input === undefined) {
    process.exitCode = 1
    return
  }
  const { store, content } = input
  // As it is, without signing: the tree of names and the tree of hashes that the checks walk.
  const built = await buildVersion({
    store,
    apex: content.apex,
    edits: { kind: 'all', content },
    serial: { policy: 'keep' },
    ignoreDigest: true,
  })
  if (built.kind !== 'built') {
    tellFaults(built.kind === 'refused' ? built.faults : [], output)
    process.exitCode = 1
    return
  }
  const roots = { namesRoot: built.names.root, nsec3Root: built.nsec3?.root ?? 0 }
  const pool = new CryptoPool({ threads: availableParallelism() })
  const options = { pool, at, validForSeconds, ...(ds === undefined ? {} : { ds }) }
  const { faults, signatures } = await verifyZone(store, roots, content.apex, options)
  await pool.close()
  tellFaults(faults, output)
  const errors = faults.filter(fault => fault.severity === 'error').length
  const { serial, records } = built.record
  if (output.json) output.value({ zone: input.zone, serial, records, signatures, errors })
  else
    output.line(
      `${input.zone} serial ${serial}: ${records} records, ${signatures} signatures, ${errors} errors`,
    )
  if (errors > 0) process.exitCode = 1
}

function dsRecord(text: string): Uint8Array {
  try {
    return rdataFromText(TYPE.DS, text)
  } catch {
    throw usage(`--ds ${text}`, 'Give it as `TAG ALGORITHM DIGEST-TYPE DIGEST`.')
  }
}
