/** One more node for a quorum that is there: its bundle, and its entries in the files of the others. It has no share until keys
 *  are reshared with it.
 *  I1  Everything is read and found sound before anything is written; comments of the files stay. */

import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Document, parseDocument } from 'yaml'
import { ConclaveError, writeFileWhole } from '../base/index.ts'
import { createParty, openVault, readParty } from './party.ts'
import { type PinnedParty, type QuorumConfiguration, VAULT_DEALER, VAULT_IDENTITY } from './quorum-files.ts'
import { firstPolicy, makeEmpty, makeVault, nodeText, partyText } from './quorum-init.ts'
import { fileError, readNodeFile } from './quorum-read.ts'

export interface NodeAddition {
  readonly name: string
  /** Where its bundle is made. */
  readonly directory: string
  /** `tcp://ADDRESS:PORT`. */
  readonly listen: string
  /** node.yaml of other nodes; the policy of the first is taken over. */
  readonly nodeFiles: readonly string[]
}

/** The path of its node.yaml.
 *  @throws ConclaveError NODE_EXISTS, QUORUM_EXISTS, CONFIG_REFUSED, VAULT_… */
export async function addNode(configuration: QuorumConfiguration, addition: NodeAddition): Promise<string> {
  const { name, listen, nodeFiles } = addition
  if (configuration.nodes.some(node => node.name === name || node.address === listen)) {
    throw new ConclaveError('NODE_EXISTS', 'there is a node of that name, or at that address', {
      place: { file: configuration.file, node: name },
      remedy: 'Choose another one.',
    })
  }
  const others = [configuration.file, ...nodeFiles].map(file => ({ file, document: documentOf(file) }))
  for (const file of nodeFiles) {
    const outcome = readNodeFile(file)
    if (outcome.kind === 'faults') throw fileError(outcome.faults)
  }
  const vault = openVault(configuration)
  const coordinator = pinned(readParty(vault, VAULT_IDENTITY))
  const dealer = pinned(readParty(vault, VAULT_DEALER))
  const directory = resolve(addition.directory)
  await makeEmpty(directory)
  const party = await createParty(await makeVault(directory, {}), VAULT_IDENTITY, name)
  const nodes = [...configuration.nodes, party]
  const policy = others[1]?.document.toJS().policy ?? firstPolicy([], configuration.threshold)
  const file = join(directory, 'node.yaml')
  const text = nodeText({ name, listen, coordinator, dealer, nodes, policy })
  await writeFileWhole(file, text, { mode: 0o600, exclusive: true })
  for (const other of others) {
    const own = partyText(party)
    const entry = other.file === configuration.file ? { ...own, curve: party.curve, address: listen } : own
    other.document.addIn(['nodes'], other.document.createNode(entry))
    await writeFileWhole(other.file, other.document.toString(), { mode: 0o600 })
  }
  return file
}

function documentOf(file: string): Document {
  return parseDocument(readFileSync(file, 'utf8'))
}

function pinned({ identity, curve }: ReturnType<typeof readParty>): PinnedParty {
  return { ...identity.publicIdentity, curve: curve.publicKey }
}
