/** ZONEMD's digest alone: passes over a signed zone that is in memory, beside SHA-384 over the same octets at once. In this
 *  process, CPU time of all of its threads; what V8 compiles is compiled before. */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ZoneDigester } from '../signer/zone-digester.ts'
import { ZONEMD_SHA384, zoneDigest } from '../signer/zonemd.ts'
import { canonicalName, readContent, Store, type ZoneContent } from '../zones/index.ts'
import { OURS, type Result } from './report.ts'
import { signedFile, Values, type Workbench } from './workbench.ts'

const WARM_PASSES = 10
const PASSES = 10
const GOAL = 1.5

export async function benchDigest(bench: Workbench): Promise<Result[]> {
  const { path } = signedFile(bench, 'nsec')
  const store = new Store()
  const content = contentOf(store, path)
  const octets = digestedOctets(store, content)
  const ours = async (): Promise<void> => {
    const roots = { namesRoot: content.tree.root, nsec3Root: 0 }
    await zoneDigest(store, roots, content.apex, ZONEMD_SHA384)
  }
  const plain = async (): Promise<void> => void hash('sha384', octets)
  for (let pass = bench.short ? 1 : WARM_PASSES; pass > 0; pass--) await ours()
  const values = new Values()
  for (let run = 0; run < bench.runs; run++) {
    values.add(OURS, await milliseconds(ours, bench.short))
    values.add('SHA-384', await milliseconds(plain, bench.short))
  }
  content.tree.discard()
  const quantity = `digest of ${octets.length.toLocaleString('en')} octets: CPU`
  return [{ quantity, unit: 'ms', values: values.all, goal: GOAL }]
}

function contentOf(store: Store, path: string): ZoneContent {
  const outcome = readContent(store, readFileSync(path), { file: path })
  if (outcome.kind === 'faults') throw new Error(outcome.faults[0]!.what)
  return outcome.content
}

/** What is hashed for the zone. */
function digestedOctets(store: Store, { tree, apex }: ZoneContent): Uint8Array {
  const parts: Uint8Array[] = []
  const keeping = {
    update: (octets: Uint8Array): number => parts.push(octets.slice()),
    digest: (): Uint8Array => Buffer.concat(parts),
  }
  const digester = new ZoneDigester(keeping, canonicalName(apex))
  const cursor = store.readTree(digester.namesRoom)
  for (let placed = cursor.seekFirst(tree.root); placed; placed = cursor.next()) digester.name(cursor)
  const octets = digester.end()
  digester.close()
  return octets
}

/** CPU time of a pass. */
async function milliseconds(pass: () => Promise<void>, once: boolean): Promise<number> {
  const passes = once ? 1 : PASSES
  const before = process.cpuUsage()
  for (let left = passes; left > 0; left--) await pass()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000 / passes
}
