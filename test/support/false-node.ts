/** A process in a node's place that is no honest one: `node false-node.js LIE node.yaml`. It prints a line when it listens.
 *
 *    wrong-shares    the node itself, with shares that are not those it was given: all it says is signed and well-formed
 *    impostor        knows the node's CURVE key, and has an identity of its own
 *    garbage         knows the node's CURVE key, and answers everything with random octets */
import { randomBytes } from 'node:crypto'
import { silentLogger, systemClock } from '../../base/index.ts'
import { generateIdentity, identityOf } from '../../hsm/identity.ts'
import { fileError, readNodeFile } from '../../hsm/index.ts'
import { ShareNode } from '../../hsm/node.ts'
import type { ShareStorage } from '../../hsm/node-keys.ts'
import { AuditFile, lockNode, VaultShares } from '../../hsm/node-storage.ts'
import { openVault, readParty } from '../../hsm/party.ts'
import { VAULT_IDENTITY } from '../../hsm/quorum-files.ts'
import { openDoors } from '../../hsm/transport.ts'

export type Lie = 'wrong-shares' | 'impostor' | 'garbage'

const GARBAGE_OCTETS = 700

function wrongShares(honest: ShareStorage): ShareStorage {
  return {
    load: () => honest.load().map(stored => ({ ...stored, share: stored.share + 1n })),
    save: share => honest.save(share),
    remove: share => honest.remove(share),
  }
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
  await openDoors(curve, doors, (coordinator, octets) =>
    lie === 'garbage'
      ? Promise.resolve(new Uint8Array(randomBytes(GARBAGE_OCTETS)))
      : node.receive(coordinator, octets),
  )
  console.log(JSON.stringify({ event: 'listening', node: configuration.name, lie }))
}

const [lie, file] = process.argv.slice(2)
if (lie !== 'wrong-shares' && lie !== 'impostor' && lie !== 'garbage') throw new Error(`no such lie: ${lie}`)
await runFalseNode(lie, file!)
