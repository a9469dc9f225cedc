/** A process in a node's place that is no honest one: `node false-node.js LIE node.yaml`. It prints a line when it listens.
 *
 *    wrong-shares    the node itself, with shares that are not those it was given: all it says is signed and well-formed
 *    other-part      the node itself, but where keys are made it shows another part than it has pledged, signed and well-formed
 *    impostor        knows the node's CURVE key, and has an identity of its own
 *    garbage         knows the node's CURVE key, and answers everything with random octets */
import { randomBytes } from 'node:crypto'
import { silentLogger, systemClock } from '../../base/index.ts'
import { generateIdentity, type Identity, identityOf } from '../../hsm/identity.ts'
import { fileError, readNodeFile } from '../../hsm/index.ts'
import type { NodeAnswer, NodeRequest } from '../../hsm/messages.ts'
import { ShareNode } from '../../hsm/node.ts'
import type { ShareStorage } from '../../hsm/node-keys.ts'
import { AuditFile, lockNode, VaultShares } from '../../hsm/node-storage.ts'
import { openVault, readParty } from '../../hsm/party.ts'
import { VAULT_IDENTITY } from '../../hsm/quorum-files.ts'
import { openDoors } from '../../hsm/transport.ts'
import { bodyOf, retold, signedRound1 } from '../hsm/simulator/lies.ts'

export const LIES = ['wrong-shares', 'other-part', 'impostor', 'garbage'] as const
export type Lie = (typeof LIES)[number]

const GARBAGE_OCTETS = 700

function wrongShares(honest: ShareStorage): ShareStorage {
  return {
    load: () => honest.load().map(stored => ({ ...stored, share: stored.share + 1n })),
    save: share => honest.save(share),
    remove: share => honest.remove(share),
  }
}

function otherPart(identity: Identity, request: Uint8Array, answer: Uint8Array): Uint8Array {
  const asked = bodyOf(request) as NodeRequest
  return retold(answer, identity, body => {
    const said = body as NodeAnswer
    if (said.kind !== 'round1' || asked.kind !== 'keygen-reveal') return said
    return signedRound1(identity, asked.session, { ...said.round1, salt: new Uint8Array(randomBytes(32)) })
  })
}

async function runFalseNode(lie: Lie, file: string): Promise<void> {
  const outcome = readNodeFile(file)
  if (outcome.kind === 'faults') throw fileError(outcome.faults)
  const { configuration } = outcome
  lockNode(configuration.vault)
  const vault = openVault(configuration)
  const { identity, curve } = readParty(vault, VAULT_IDENTITY)
  const shares = new VaultShares(vault)
  const node = new ShareNode({
    ...configuration,
    identity: lie === 'impostor' ? identityOf(generateIdentity(configuration.name)) : identity,
    shares: lie === 'wrong-shares' ? wrongShares(shares) : shares,
    audit: new AuditFile(configuration.audit),
    clock: systemClock,
    version: 'false',
    onBug: error => silentLogger.error(String(error)),
  })
  const doors = configuration.coordinators.map(({ curve: publicKey, ...door }) => ({ ...door, publicKey }))
  await openDoors(curve, doors, async (coordinator, octets) => {
    if (lie === 'garbage') return new Uint8Array(randomBytes(GARBAGE_OCTETS))
    const answer = await node.receive(coordinator, octets)
    return lie === 'other-part' && answer !== undefined ? otherPart(identity, octets, answer) : answer
  })
  console.log(JSON.stringify({ event: 'listening', node: configuration.name, lie }))
}

const [word, file] = process.argv.slice(2)
const lie = LIES.find(one => one === word)
if (lie === undefined) throw new Error(`no such lie: ${word}`)
await runFalseNode(lie, file!)
