/** `conclave hsm backup|restore`: a node's vault, sealed with a passphrase, out and in. */
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { ConclaveError, writeFileWhole } from '../base/index.ts'
import {
  fileError,
  lockNode,
  makeBackup,
  type NodeConfiguration,
  openOrCreateVault,
  openVault,
  readNodeFile,
  restoreBackup,
} from '../hsm/index.ts'
import { usage } from './options.ts'
import { createOutput } from './output.ts'

interface BackupWords {
  readonly passphraseFile?: string
}

const PASSPHRASE_VARIABLE = 'CONCLAVE_PASSPHRASE'

export async function backupCommand(
  file: string,
  words: BackupWords & { readonly output: string },
  command: Command,
): Promise<void> {
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const node = nodeOf(file)
  const sealed = makeBackup(node.name, openVault(node), passphraseOf(words))
  await writeFileWhole(words.output, sealed, { mode: 0o600, exclusive: true })
  if (output.json) output.value({ backup: words.output, node: node.name, octets: sealed.length })
  else
    output.line(
      `${words.output}: ${node.name}, ${sealed.length} octets; good until its keys are refreshed or reshared`,
    )
}

export async function restoreCommand(
  file: string,
  words: BackupWords & { readonly from: string },
  command: Command,
): Promise<void> {
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const node = nodeOf(file)
  const vault = await openOrCreateVault(node)
  const release = lockNode(node.vault)
  try {
    const backup = readBackup(words.from)
    const shares = await withPlace(words.from, restoreBackup(node.name, vault, backup, passphraseOf(words)))
    if (output.json) return output.value({ restored: node.name, shares })
    for (const { zone, epoch, restored } of shares) {
      output.line(
        `${zone} epoch ${epoch}: ${restored ? 'restored' : 'left out, the node has this one or a newer one'}`,
      )
    }
    output.note(
      'Refresh the keys when the node runs: a share that was elsewhere should not stay good (conclave hsm refresh).',
    )
  } finally {
    release()
  }
}

function nodeOf(file: string): NodeConfiguration {
  const outcome = readNodeFile(file)
  if (outcome.kind === 'faults') throw fileError(outcome.faults)
  return outcome.configuration
}

/** Says which backup was not taken. */
async function withPlace<T>(file: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof ConclaveError)) throw error
    const { code, message, remedy, place, cause } = error
    // The code is the error's own: docs/errors.md has it.
    throw new ConclaveError(code, message, {
      place: { file, ...place },
      ...(remedy === undefined ? {} : { remedy }),
      cause,
    })
  }
}

function readBackup(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new ConclaveError('FILE_READ', 'the file cannot be read', { place: { file: path }, cause })
  }
}

/** A file, or the environment: never the command line, which everybody can see. */
function passphraseOf({ passphraseFile }: BackupWords): Uint8Array {
  if (passphraseFile !== undefined) {
    const octets = readBackup(passphraseFile)
    return octets.at(-1) === 0x0a ? octets.subarray(0, -1) : octets
  }
  const text = process.env[PASSPHRASE_VARIABLE]
  if (text !== undefined && text !== '') return Buffer.from(text)
  throw usage('there is no passphrase', `Give --passphrase-file FILE, or set ${PASSPHRASE_VARIABLE}.`)
}
