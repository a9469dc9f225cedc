/** Zones that the command line names: ZONEFILE, NAME=ZONEFILE and directories, all signed in one way. */
import { dirname, resolve } from 'node:path'
import { ConclaveError, type Logger } from '../base/index.ts'
import {
  createLogger,
  createNameserver,
  defaultStateDirectory,
  type FileOptions,
  type Nameserver,
  parseListenAddress,
  parseSource,
  prefixMatcher,
  probeAddresses,
  type SourceArgument,
  type ZoneOptions,
} from '../server/serving.ts'
import {
  foreignRollWarnings,
  type KeyStore,
  openQuorumStore,
  policyWarnings,
  type SigningPolicy,
} from '../signer/index.ts'
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
  const warned = options.sign ? [...policyWarnings(policy), ...foreignRollWarnings(policy)] : []
  for (const warning of warned) output.note(`warning: ${warning}`)
  const { axfrAllow, listen = LISTEN_DEFAULT, user } = options
  wordOf(() => [listen.map(parseListenAddress), prefixMatcher(axfrAllow ?? [])])
  const sources = words.map(sourceOf)
  await probeAddresses(listen)
  const log = createLogger({ readable: output.terminal, level: output.terminal ? 'warn' : 'info' })
  const quorum = await openHsm(options, log)
  const server = await createServer(options, { policy, log, quorum, path: sources[0]!.path })
  const zoneOptions = await zoneOptionsOf(options, { policy, server, quorum })
  return {
    server,
    log,
    listen,
    user,
    keyDirectories: options.hsm === undefined ? [] : [dirname(resolve(options.hsm))],
    awaitsZones: sources.some(source => source.kind === 'directory'),
    addSources: () => addSources(server, sources, zoneOptions),
    reload: zone => server.reload(zone),
    status: () => server.status(),
    close: async options => {
      await server.close(options)
      await quorum?.close()
    },
  }
}

/** The quorum's key store; this process is its coordinator from now on. */
async function openHsm({ hsm, sign }: SourceWords, log: Logger): Promise<KeyStore | undefined> {
  if (hsm === undefined) return undefined
  if (!sign) throw usage('--hsm beside --no-sign', 'Give one of them.')
  return openQuorumStore({ file: hsm, log, lead: true })
}

interface Made {
  readonly policy: SigningPolicy
  readonly quorum: KeyStore | undefined
}

async function createServer(
  options: SourceWords,
  { policy, log, quorum, path }: Made & { readonly log: Logger; readonly path: string },
): Promise<Nameserver> {
  const { axfrAllow, workers, udp, state, sign, kskOnly } = options
  try {
    return await createNameserver({
      state: state ?? defaultStateDirectory(path),
      signing: sign ? policy : false,
      keepKeys: true,
      log,
      ...(quorum === undefined || kskOnly ? {} : { keys: quorum }),
      ...(axfrAllow === undefined ? {} : { axfrAllow }),
      ...(workers === undefined ? {} : { workers }),
      ...(udp === undefined ? {} : { udp }),
    })
  } catch (error) {
    await quorum?.close()
    throw error
  }
}

/** With --ksk-only, ZSKs are key files of the state directory. */
async function zoneOptionsOf(
  { kskOnly }: SourceWords,
  { policy, server, quorum }: Made & { readonly server: Nameserver },
): Promise<ZoneOptions> {
  if (quorum === undefined || kskOnly !== true) return {}
  const stores = { ksk: quorum, zsk: await server.openFileKeys() }
  return { signing: { policy, stores, keepKeys: true } }
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

async function addSources(
  server: Nameserver,
  sources: readonly SourceArgument[],
  options: ZoneOptions,
): Promise<void> {
  const queue = [...sources]
  const work = async (): Promise<void> => {
    for (let source = queue.shift(); source !== undefined; source = queue.shift()) {
      if (source.kind === 'directory') await server.addDirectory(source.path, options)
      else await server.addFile(source.path, withOrigin(options, source.origin))
    }
  }
  await Promise.all(Array.from({ length: ZONES_AT_ONCE }, work))
}

function withOrigin(options: ZoneOptions, origin: FileOptions['origin'] | undefined): FileOptions {
  return origin === undefined ? options : { ...options, origin }
}
