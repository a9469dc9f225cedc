/** How much V8 inlines at a start (cli/inlining.ts), as far as it can be seen: its tag for code has the flags in it. */
import { EventEmitter } from 'node:events'
import { cachedDataVersionTag } from 'node:v8'
import test from 'ava'
import { inliningLittle } from '../../cli/inlining.ts'
import type { Nameserver, NameserverEvents } from '../../server/index.ts'

const usual = cachedDataVersionTag()

test.serial('I1: less is inlined while zones are read at the start, also when that fails', async t => {
  const server = new EventEmitter<NameserverEvents>() as Nameserver
  const during = await inliningLittle(server, async () => cachedDataVersionTag())
  t.not(during, usual)
  t.is(cachedDataVersionTag(), usual)
  await t.throwsAsync(inliningLittle(server, () => Promise.reject(new Error('asked for'))))
  t.is(cachedDataVersionTag(), usual)
  t.is(server.listenerCount('working'), 0)
})

test.serial('I1: as much as ever from the first large zone on', async t => {
  const server = new EventEmitter<NameserverEvents>() as Nameserver
  await inliningLittle(server, async () => {
    server.emit('working', true)
    t.is(cachedDataVersionTag(), usual)
  })
})
