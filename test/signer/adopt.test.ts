import test from 'ava'
import { adoptTree } from '../../signer/adopt.ts'
import { NamesPlanner } from '../../signer/planner.ts'
import { WHOLE_ZONE } from '../../signer/ranges.ts'
import { canonicalName, decodeNode, nameFromText, Store } from '../../zones/index.ts'
import { contentOf } from './build-support.ts'
import { RandomZone } from './random-zones.ts'

const apex = canonicalName(nameFromText('example.'))

/** What the planner says of every name, and what the walk made of it, as text. */
async function bothWays(
  text: string,
  namesAStretch: number,
): Promise<{ planned: string[]; adopted: string[] }> {
  const store = new Store({ octetsMax: 1 << 24 })
  const { tree } = contentOf(store, text, 'example.')
  const planner = new NamesPlanner(
    {
      cursor: store.readTree(),
      lookAhead: store.readTree(),
      rules: { signs: false },
      canonicalApex: apex,
      nsecTtl: undefined,
      apexRRsets: content => [...content],
      inPlace: false,
    },
    tree.root,
    WHOLE_ZONE,
  )
  const nodes: Parameters<typeof planner.plan>[0] = []
  planner.plan(nodes, Number.POSITIVE_INFINITY)
  const planned = nodes.map(({ key, flags, cutLabels }) => `${hex(key)} ${flags} ${cutLabels}`)
  const content = contentKeys(store, tree.root)
  const visited: string[] = []
  await adoptTree(tree, (key, octets) => visited.push(hex(key.subarray(0, octets))), namesAStretch)
  if (visited.join() !== content.join()) throw new Error('not every name was visited once')
  const adopted: string[] = []
  const cursor = store.readTree()
  for (let placed = cursor.seekFirst(tree.root); placed; placed = cursor.next()) {
    const { flags, cutLabels } = decodeNode(cursor.bytes, cursor.valueStart)
    adopted.push(`${hex(cursor.key.subarray(0, cursor.loadKey()))} ${flags & ~64} ${cutLabels}`)
  }
  return { planned, adopted }
}

function contentKeys(store: Store, root: number): string[] {
  const keys: string[] = []
  const cursor = store.readTree()
  for (let placed = cursor.seekFirst(root); placed; placed = cursor.next()) {
    keys.push(hex(cursor.key.subarray(0, cursor.loadKey())))
  }
  return keys
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex')
}

test('I1: flags, cuts and empty non-terminals are what the planner plans, however long the stretches', async t => {
  for (let seed = 1; seed <= 120; seed++) {
    const text = new RandomZone(seed, 30).text()
    const { planned, adopted } = await bothWays(text, 1 + (seed % 7))
    t.deepEqual(adopted, planned, `seed ${seed}\n${text}`)
  }
})

test('I1: all is occluded below a DNAME at the apex', async t => {
  const { planned, adopted } = await bothWays(
    '@ 60 SOA ns host 1 2 3 4 5\n@ NS ns\n@ DNAME a.test.\na.b A 192.0.2.1\n*.c TXT x\n',
    2048,
  )
  t.deepEqual(adopted, planned)
  t.is(adopted.length, 5)
})
