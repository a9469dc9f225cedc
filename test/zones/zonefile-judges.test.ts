/** Texts whose meaning no RFC fixes to the last detail: BIND must read the same records out of them as we do. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { needs, toolPath } from '../support/tools.ts'
import { HEAD, lines, load, print } from './zone-text.ts'

/** Behind HEAD; & stands for the dollar in front of a brace, which JavaScript would want for itself. */
const TEXTS: readonly string[] = [
  '$GENERATE 1-7/3 h$ A 10.0.0.$\n',
  '$GENERATE 8-12 h&{-8,3,d} 60 IN TXT "a $ &{1,0,x} b"\n',
  '$GENERATE 250-256 h&{0,4,X}.&{0,4,o} CNAME t&{5}.test.\n',
  '$GENERATE 4094-4097 &{0,7,n}.i CNAME n&{0,8,N}x.test.\n$GENERATE 1-2 &{0,3,n} PTR p$.test.\n',
  '$GENERATE 1-2 q$ MX "10 m$.test."\n',
  '$GENERATE 1-2 e$ TXT a\\$b$$c\n',
  '$GENERATE 1-2 s$ TXT "\\"one $\\" two"\n',
  'a TXT a"b c"d "e""f" g\n',
  'a TXT a\\ b \\; "c\\"d" "\\010"\n',
  'a A 192.0.2.1\n$ORIGIN sub\n  A 192.0.2.2\nb A 192.0.2.3\n',
  'a 5 A 192.0.2.1\nb A 192.0.2.1\n$TTL 7\nc A 192.0.2.1\n',
  'a A 192.0.2.1\n$INCLUDE one.inc other.example.\n  TXT "of a"\nb A 192.0.2.1\n',
  'a A 192.0.2.1\n$INCLUDE two.inc other.example.\n  TXT "of a"\n',
  'a A 192.0.2.1\n$GENERATE 1-2 g$ A 192.0.2.$\n  TXT "of a"\n',
  '( a ) 1h30m ( IN\n A ) 192.0.2.1\n',
  'WwW A 192.0.2.1\nwww TXT x\n  TXT x\n',
  'x 2147483648 A 192.0.2.1\n',
  '\\@ A 192.0.2.1\nx$y A 192.0.2.1\na\\.b A 192.0.2.1\n\\000 A 192.0.2.1\n',
  'a CLASS01 TYPE01 \\# 4 c0000201\n',
  'a TYPE1 \\# 4 c0000201\nb MB m.\nc TYPE7 \\# 3 016d00\n',
  'a SVCB 1 . alpn="h2,h3" port="53"\n',
]

test('BIND reads the same records', t => {
  if (!needs(t, 'named-compilezone')) return
  const directory = mkdtempSync(join(tmpdir(), 'conclave-judge-'))
  try {
    writeFileSync(join(directory, 'one.inc'), '@ A 192.0.2.9\n$TTL 99\n$ORIGIN deeper\nx A 192.0.2.8\n')
    writeFileSync(join(directory, 'two.inc'), '  A 192.0.2.7\nb A 192.0.2.8\n')
    for (const text of TEXTS.map(text => HEAD + text.replaceAll('&{', '${'))) {
      writeFileSync(join(directory, 'example.zone'), text)
      const words = ['-i', 'none', '-k', 'ignore', '-q', '-s', 'full', '-o', '-', 'example.', 'example.zone']
      const { stdout } = spawnSync(toolPath('named-compilezone')!, words, {
        cwd: directory,
        encoding: 'utf8',
      })
      const ours = load(text, path => readFileSync(join(directory, path)))
      t.deepEqual(lines(print(ours).toLowerCase()), lines(print(load(stdout)).toLowerCase()), text)
    }
  } finally {
    rmSync(directory, { recursive: true })
  }
})
