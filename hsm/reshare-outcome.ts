/** What comes of resharing, as everybody can work it out: the record of the new sharing from the dealings, and the echo that
 *  all new members must show alike. Nodes need it for their shares, the coordinator to tell those who were away.
 *
 *  I1  An echo is of session, new record and all dealings: who has the three can check it without having been in the session. */

import { FrostReshare } from './frost-reshare.ts'
import { integerOf } from './integers.ts'
import { encodeKeyRecord, type QuorumKeyRecord, type QuorumScheme } from './key-record.ts'
import type { ReshareOutcome, SignedDealing } from './messages.ts'
import type { QuorumSize } from './quorum-size.ts'
import { RsaReshare } from './rsa-reshare.ts'
import { hashOf } from './transcript.ts'

export type ReshareWork = FrostReshare | RsaReshare

/** `set`: holders that deal, by index.
 *  @throws RangeError for sizes and sets that cannot be, and records that are not sound */
export function reshareWork(
  { scheme }: QuorumKeyRecord,
  set: readonly number[],
  size: QuorumSize,
): ReshareWork {
  return scheme.kind === 'frost'
    ? new FrostReshare(scheme.key, set, size)
    : new RsaReshare(scheme.key, set, size)
}

/** From dealings that were checked. */
export function outcomeOf(
  old: QuorumKeyRecord,
  work: ReshareWork,
  members: readonly string[],
  dealings: readonly SignedDealing[],
): ReshareOutcome {
  const scheme = newScheme(work, dealings)
  return {
    record: encodeKeyRecord({ ...old, epoch: old.epoch + 1, members, scheme }),
    dealings: hashOf(
      'reshare dealings',
      ...dealings.flatMap(({ commitments, proofs }) => [...commitments, ...proofs]),
    ),
  }
}

function newScheme(work: ReshareWork, dealings: readonly SignedDealing[]): QuorumScheme {
  if (work instanceof FrostReshare) return { kind: 'frost', key: work.newKey(dealings) }
  const parsed = dealings.map(({ from, commitments }) => ({ from, commitments: commitments.map(integerOf) }))
  return { kind: 'rsa', key: work.newKey(parsed) }
}

/** I1. */
export function reshareEcho(session: Uint8Array, { record, dealings }: ReshareOutcome): Uint8Array {
  return hashOf('reshare echo', session, record, dealings)
}
