/** Whether the options of programs are what they are taken for (base/kinds.ts): a word misspelt must not leave a zone unsigned. */
import {
  amount,
  ConclaveError,
  callable,
  either,
  integerFrom,
  type KindFault,
  type Kinds,
  kindFault,
  listOf,
  object,
  oneOf,
  text,
} from '../base/index.ts'
import { checkPolicy } from '../signer/index.ts'
import type { NameserverOptions, TextOptions, ZoneOptions, ZoneSigning } from './nameserver-types.ts'
import type { ZoneSource } from './source-changes.ts'

const truth = oneOf(true, false)
const served = oneOf(false)
const serialPolicy = oneOf('increment', 'unixtime', 'dateserial', 'keep')
const anything = either(object, either(text, amount))

const NAMESERVER: Kinds<NameserverOptions> = {
  listen: listOf(text),
  state: text,
  signing: either(served, object),
  keepKeys: truth,
  keys: object,
  otherKeys: callable,
  serialPolicy,
  workers: integerFrom(1),
  udp: oneOf('batch', 'dgram'),
  tsig: listOf(object),
  transfer: object,
  axfrAllow: listOf(text),
  watch: truth,
  clock: object,
  log: object,
}

/** Those of every kind of source. */
const ZONE: Kinds<TextOptions & ZoneSource> = {
  signing: either(served, object),
  serialPolicy,
  // A name may be octets; what makes it a name is said where it is read.
  origin: anything,
  name: text,
  kind: oneOf('file', 'directory'),
  path: text,
}

const SIGNING: Kinds<ZoneSigning> = { policy: object, stores: object, keepKeys: truth, unsign: truth }

/** @throws ConclaveError OPTION_INVALID */
export function checkNameserverOptions(options: NameserverOptions): void {
  refuse(kindFault(options, NAMESERVER, "the nameserver's"))
}

/** Of a source's zones, whatever the source.
 *  @throws ConclaveError OPTION_INVALID, SIGNING_POLICY, ALGORITHM_UNSUPPORTED */
export function checkZoneOptions(options: ZoneOptions): void {
  refuse(kindFault(options, ZONE, "a zone's"))
  const { signing } = options
  if (signing === undefined || signing === false) return
  if (signing.policy === undefined) {
    const what = 'how a zone is signed is not said by a policy'
    refuse({ what, remedy: 'Give { policy: signingPolicyOf({ … }) }.' })
  }
  refuse(kindFault(signing, SIGNING, "a zone's signing"))
  checkPolicy(signing.policy)
}

function refuse(fault: KindFault | undefined): void {
  if (fault !== undefined) throw new ConclaveError('OPTION_INVALID', fault.what, { remedy: fault.remedy })
}
