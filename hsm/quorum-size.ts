/** How many nodes there are, and how many of them suffice. */

export interface QuorumSize {
  /** How many shares suffice. */
  readonly threshold: number
  readonly nodes: number
}

export const NODES_MAX = 16

/** n/2 < threshold ≤ n: two signing sets then have a node in common, so that a rule every node keeps holds for all.
 *  @throws RangeError */
export function checkQuorumSize({ threshold, nodes }: QuorumSize): void {
  const whole = Number.isInteger(threshold) && Number.isInteger(nodes)
  if (!whole || nodes < 2 || nodes > NODES_MAX || 2 * threshold <= nodes || threshold > nodes) {
    throw new RangeError(`${threshold} of ${nodes}: more than half must be needed, of 2 to ${NODES_MAX}`)
  }
}
