/** A whole quorum from one command: a bundle for each node, a file for the coordinator, and a script that runs all nodes here.
 *
 *    DIR/node1 … nodeN    node.yaml, key (opens the vault), vault/ (identity), audit.log once it runs: carry it to its host
 *    DIR/quorum.yaml      the coordinator's: threshold, nodes with their keys pinned
 *    DIR/coordinator      key and vault of coordinator and dealer; state/
 *    DIR/start            runs all nodes on this machine until it is interrupted
 *
 *  I1  Nothing that is there is replaced. Secrets of a party are in its own directory only, mode 0600. */

import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { stringify } from 'yaml'
import { ConclaveError, isErrno, makeDirectory, writeFileWhole } from '../base/index.ts'
import { createParty, vaultSecret } from './party.ts'
import { type PinnedParty, VAULT_DEALER, VAULT_IDENTITY } from './quorum-files.ts'
import { checkQuorumSize, type QuorumSize } from './quorum-size.ts'
import { Vault } from './vault.ts'

export interface QuorumInit extends QuorumSize {
  readonly directory: string
  /** Where nodes listen: `ADDRESS` and the first of as many ports. */
  readonly address: string
  readonly firstPort: number
  /** Zones that nodes sign for; none: any zone. */
  readonly zones: readonly string[]
  /** Vaults are opened by the passphrase in this variable of the environment; without it, by files of random octets. */
  readonly passphraseVariable?: string
}

export interface InitializedQuorum {
  readonly file: string
  readonly nodes: readonly string[]
}

const KEY_OCTETS = 32
const PRIVATE_FILE = { mode: 0o600, exclusive: true }

/** @throws ConclaveError QUORUM_SIZE, QUORUM_EXISTS, VAULT_… */
export async function initQuorum(init: QuorumInit): Promise<InitializedQuorum> {
  try {
    checkQuorumSize(init)
  } catch (cause) {
    throw new ConclaveError('QUORUM_SIZE', cause instanceof Error ? cause.message : String(cause), {
      remedy: 'Usual are 2 of 3 and 3 of 5.',
    })
  }
  const directory = resolve(init.directory)
  await makeEmpty(directory)
  const coordinatorVault = await makeVault(join(directory, 'coordinator'), init)
  const coordinator = await createParty(coordinatorVault, VAULT_IDENTITY, 'coordinator')
  const dealer = await createParty(coordinatorVault, VAULT_DEALER, 'dealer')
  const names = Array.from({ length: init.nodes }, (_, at) => `node${at + 1}`)
  const nodes: PinnedParty[] = []
  for (const name of names) {
    nodes.push(await createParty(await makeVault(join(directory, name), init), VAULT_IDENTITY, name))
  }
  const { passphraseVariable } = init
  const policy = firstPolicy(init.zones, init.threshold)
  for (const [at, name] of names.entries()) {
    const listen = addressOf(init, at)
    const text = nodeText({ name, listen, coordinator, dealer, nodes, passphraseVariable, policy })
    await writeFileWhole(join(directory, name, 'node.yaml'), text, PRIVATE_FILE)
  }
  const file = join(directory, 'quorum.yaml')
  await writeFileWhole(join(directory, 'start'), startScript(names), { mode: 0o755, exclusive: true })
  await writeFileWhole(file, quorumText(init, nodes), PRIVATE_FILE)
  return { file, nodes: names }
}

function addressOf({ address, firstPort }: QuorumInit, at: number): string {
  return `tcp://${address.includes(':') ? `[${address}]` : address}:${firstPort + at}`
}

/** @throws ConclaveError QUORUM_EXISTS */
export async function makeEmpty(directory: string): Promise<void> {
  try {
    if (readdirSync(directory).length === 0) return
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return makeDirectory(directory, 0o700)
    throw error
  }
  throw new ConclaveError('QUORUM_EXISTS', 'there is something in the directory already', {
    place: { file: directory },
    remedy: 'Give a directory that is new or empty.',
  })
}

/** A directory with a vault, and what opens it. */
export async function makeVault(
  directory: string,
  { passphraseVariable }: Pick<QuorumInit, 'passphraseVariable'>,
): Promise<Vault> {
  await makeDirectory(directory, 0o700)
  if (passphraseVariable !== undefined) {
    const opener = { kind: 'passphrase-variable', variable: passphraseVariable } as const
    return Vault.create(join(directory, 'vault'), vaultSecret(opener))
  }
  const octets = new Uint8Array(randomBytes(KEY_OCTETS))
  await writeFileWhole(join(directory, 'key'), octets, PRIVATE_FILE)
  return Vault.create(join(directory, 'vault'), { kind: 'key', octets })
}

/** What stands in a node.yaml that is made. */
export interface NodeText {
  readonly name: string
  readonly listen: string
  readonly coordinator: PinnedParty
  readonly dealer: PinnedParty
  readonly nodes: readonly PinnedParty[]
  readonly passphraseVariable?: string | undefined
  readonly policy: unknown
}

export function partyText({ name, signing, sealing }: PinnedParty): Record<string, string> {
  const text = (octets: Uint8Array): string => Buffer.from(octets).toString('base64')
  return { name, signing: text(signing), sealing: text(sealing) }
}

function openerText(keyFile: string, passphraseVariable: string | undefined): Record<string, string> {
  return passphraseVariable === undefined
    ? { 'key-file': keyFile }
    : { 'passphrase-variable': passphraseVariable }
}

/** The rules a node begins with: wide, so that everything works at once. */
export function firstPolicy(zones: readonly string[], threshold: number): Record<string, unknown> {
  const rule = {
    roles: ['csk', 'ksk', 'zsk'],
    types: 'any',
    'validity-max': '31d',
    'inception-past-max': '2h',
    'inception-future-max': '5m',
    'ttl-max': '7d',
    'records-max': 1000,
    'messages-per-minute-max': 1_000_000,
    dnskeys: 'any',
  }
  const rules = zones.length === 0 ? [{ zone: '*', ...rule }] : zones.map(zone => ({ zone, ...rule }))
  return { keygen: true, deal: true, reshare: true, erase: false, 'threshold-min': threshold, zones: rules }
}

export function nodeText(node: NodeText): string {
  const { name, listen, coordinator, dealer, nodes, passphraseVariable, policy } = node
  return `# ${name} of a quorum: who may ask it, and what it signs for them. docs/hsm.md explains each key.
${stringify({
  node: { name, vault: 'vault', ...openerText('key', passphraseVariable), audit: 'audit.log' },
  coordinators: [{ ...partyText(coordinator), curve: coordinator.curve, listen }],
  dealers: [partyText(dealer)],
  nodes: nodes.map(partyText),
})}
# The rules this node keeps by itself, whatever a coordinator asks. Narrow them: name the zones, list the DNSKEYs that
# may be in them (dnskeys), ask for operators' approvals of what keys sign (approvals).
${stringify({ policy })}`
}

function quorumText(init: QuorumInit, nodes: readonly PinnedParty[]): string {
  return `# A quorum of ${init.nodes} share nodes, of which ${init.threshold} suffice, as its coordinator knows it.
${stringify({
  coordinator: {
    name: 'coordinator',
    vault: 'coordinator/vault',
    ...openerText('coordinator/key', init.passphraseVariable),
    state: 'coordinator/state',
  },
  threshold: init.threshold,
  nodes: nodes.map((node, at) => ({ ...partyText(node), curve: node.curve, address: addressOf(init, at) })),
})}`
}

function startScript(names: readonly string[]): string {
  return `#!/bin/sh
# Runs all nodes of this quorum on this machine until it is interrupted: to try it, and for tests. Nodes that share a
# machine share its fate; carry each directory to a host of its own.
cd "$(dirname "$0")" || exit 1
conclave=\${CONCLAVE:-conclave}
children=
stop() {
  trap - INT TERM EXIT
  [ -z "$children" ] || kill $children 2>/dev/null
  wait
}
trap 'stop; exit 0' INT TERM
trap stop EXIT
for node in ${names.join(' ')}; do
  $conclave hsm node "$node/node.yaml" &
  children="$children $!"
done
wait
`
}
