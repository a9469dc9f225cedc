/** What a coordinator knows of its quorum, for people and monitors. */

import type { Memory } from './coordinator-memory.ts'
import type { NodePeer } from './node-peer.ts'
import type { KeyStatus, NodeStatus, QuorumKey, QuorumStatus } from './quorum.ts'

export function quorumStatus(
  peers: readonly NodePeer[],
  keys: readonly QuorumKey[],
  memory: Memory,
): QuorumStatus {
  return {
    nodes: peers.map(peer => nodeStatus(peer, memory)),
    keys: keys.map(keyStatus),
    confirming: memory.confirmations.map(({ what, nodes }) => ({ what, nodes })),
  }
}

function nodeStatus(peer: NodePeer, memory: Memory): NodeStatus {
  const { state, roundTrip } = peer
  const head = memory.heads.get(peer.name)
  return {
    name: peer.name,
    state: peer.isCulprit ? 'culprit' : peer.isUp ? 'up' : 'down',
    why: peer.why,
    version: state?.version,
    skewSeconds: roundTrip?.skewSeconds,
    roundTripSeconds: roundTrip?.seconds,
    audit: head === undefined ? undefined : { length: head.length, head: head.head },
    rolledBackUnix: head?.rolledBackUnix,
    keys: (state?.keys ?? []).map(({ key, epoch }) => ({ key, epoch })),
  }
}

function keyStatus({ id, record, holders }: QuorumKey): KeyStatus {
  const { zone, role, algorithm, epoch, members, scheme } = record
  const { threshold } = scheme.key
  return {
    key: id,
    epoch,
    zone,
    role,
    algorithm,
    threshold,
    members,
    holders,
    headroom: holders.length - threshold,
  }
}
