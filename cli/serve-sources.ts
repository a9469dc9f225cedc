/** Zones that the command line names: ZONEFILE, NAME=ZONEFILE and directories, all signed in one way. */
import { ConclaveError } from '../base/index.ts'
import {
  createLogger,
  createNameserver,
  defaultStateDirectory,
  type Nameserver,
  parseListenAddress,
  parseSource,
  prefixMatcher,
  probeAddresses,
  type SourceArgument,
} from '../server/index.ts'
import { policyWarnings } from '../signer/index.ts'
import { type SigningWords, signingPolicy, usage, wordOf } from './options.ts'
import type { Output } from './output.ts'
import type { Service } from './serve.ts'

export interface SourceWords extends SigningWords {
  readonly listen?: readonly string[]
  readonly state?: string
  /** commander: false with `--no-sign`. */
  readonly sign: boolean
  readonly workers?: number
  readonly udp?: 'batch' | 'dgram'
  readonly axfrAllow?: readonly string[]
  readonly user?: string
}

const LISTEN_DEFAULT = ['127.0.0.1@5300']
/** Zones being signed at once when a server starts: enough to share the disk's flushes among many small zones. */
const ZONES_AT_ONCE = 64

export async function sourcesService(
  words: readonly string[],
  options: SourceWords,
  output: Output,
): Promise<Service> {
  const policy = signingPolicy(options)
  if (options.sign) for (const warning of policyWarnings(policy)) output.note(`warning: ${warning}`)
  const { axfrAllow, listen = LISTEN_DEFAULT, workers, udp, user } = options
  wordOf(() => [listen.map(parseListenAddress), prefixMatcher(axfrAllow ?? [])])
  const sources = words.map(sourceOf)
  await probeAddresses(listen)
  const log = createLogger({ readable: output.terminal, level: output.terminal ? 'warn' : 'info' })
  const server = await createNameserver({
    state: options.state ?? defaultStateDirectory(sources[0]!.path),
    signing: options.sign ? policy : false,
    keepKeys: true,
    log,
    ...(axfrAllow === undefined ? {} : { axfrAllow }),
    ...(workers === undefined ? {} : { workers }),
    ...(udp === undefined ? {} : { udp }),
  })
  return {
    server,
    log,
    listen,
    user,
    keyDirectories: [],
    awaitsZones: sources.some(source => source.kind === 'directory'),
    addSources: () => addSources(server, sources),
    reload: zone => server.reload(zone),
    status: () => server.status(),
    close: options => server.close(options),
  }
}

/** A name that is none is wrong usage; a file that is not there is a fault. */
function sourceOf(word: string): SourceArgument {
  try {
    return parseSource(word)
  } catch (cause) {
    if (!(cause instanceof ConclaveError) || cause.code !== 'NAME_SYNTAX') throw cause
    throw usage(cause.message, 'Name zone files, directories of *.zone files, or NAME=ZONEFILE.')
  }
}

async function addSources(server: Nameserver, sources: readonly SourceArgument[]): Promise<void> {
  const queue = [...sources]
  const work = async (): Promise<void> => {
    for (let source = queue.shift(); source !== undefined; source = queue.shift()) {
      if (source.kind === 'directory') await server.addDirectory(source.path)
      else await server.addFile(source.path, source.origin)
    }
  }
  await Promise.all(Array.from({ length: ZONES_AT_ONCE }, work))
}
