/** FROST keys made in one place, by as many parties as there are nodes. */

import type { FrostSuiteName } from '../../hsm/edwards.ts'
import { FrostKeygen, type KeygenPart, type KeygenRound1, type MadeFrostKey } from '../../hsm/frost-keygen.ts'
import type { QuorumSize } from '../../hsm/quorum-size.ts'

export const SESSION: Uint8Array = new TextEncoder().encode('session')

export function parties(
  suite: FrostSuiteName,
  size: QuorumSize,
  session: Uint8Array = SESSION,
): FrostKeygen[] {
  return Array.from({ length: size.nodes }, (_, at) => new FrostKeygen(suite, size, at + 1, session))
}

/** Round 1 of all, each shown for the pledges of all. */
export function shown(all: readonly FrostKeygen[]): KeygenRound1[] {
  const pledges = all.map(({ pledge }) => pledge)
  return all.map(party => party.reveal(pledges))
}

export function partsFor(index: number, sent: readonly ReadonlyMap<number, Uint8Array>[]): KeygenPart[] {
  return sent.flatMap((parts, at) => (at + 1 === index ? [] : [{ from: at + 1, value: parts.get(index)! }]))
}

export function finished(all: readonly FrostKeygen[]): MadeFrostKey[] {
  const round1 = shown(all)
  const sent = all.map(party => party.round2(round1))
  return all.map((party, at) => party.finish(partsFor(at + 1, sent)))
}

/** Key generation among so many nodes. */
export function makeKey(suite: FrostSuiteName, size: QuorumSize): MadeFrostKey[] {
  return finished(parties(suite, size))
}
