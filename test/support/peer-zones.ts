/** The zones that peers are compared on: one with a bit of everything, one below it, and signed forms of it. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Everything but SOA and NS; `@` is the apex. */
const MIXED = `
@ MX 10 mail
@ MX 20 mail.elsewhere.test.
@ TXT "apex"
@ A 192.0.2.1
@ AAAA 2001:db8::1
@ CAA 0 issue "ca.example"
@ HTTPS 1 . alpn=h2
ns1 A 192.0.2.2
ns1 AAAA 2001:db8::2
ns2 A 192.0.2.3
mail A 192.0.2.4
mail A 192.0.2.5
mail AAAA 2001:db8::4
MixedCase A 192.0.2.6
text TXT "one" "two"
text TXT "three"
srv SRV 0 5 5060 mail
srv SRV 0 5 5061 target.cut
srv SRV 0 5 5062 ns1.elsewhere.test.
naptr NAPTR 100 10 "S" "SIP+D2U" "" srv
svcb SVCB 1 mail alpn=h2
svcalias SVCB 0 mail
afs AFSDB 1 mail
kx KX 1 mail
rt RT 1 mail
ptr PTR mail
loc LOC 1 0 0.000 N 1 0 0.000 E 0m
mxcut MX 1 ns.cut
mxself MX 1 mxself
mxself A 192.0.2.90
mxwild MX 1 anything.wild
mxcname MX 1 alias
deep.empty.nonterminal A 192.0.2.7
b.empty.nonterminal TXT "b"
alias CNAME mail
alias2 CNAME alias
aliasout CNAME www.elsewhere.test.
aliasserved CNAME www.served
aliaszone CNAME text.nsec.test.
aliaszonewild CNAME some.wild.nsec3.test.
aliaszonenone CNAME no.such.nsec.test.
aliascut CNAME host.cut
aliasnone CNAME nothing.here
aliaswild CNAME any.wild
aliasdname CNAME x.dname
loop1 CNAME loop2
loop2 CNAME loop1
selfloop CNAME selfloop
*.wild A 192.0.2.8
*.wild TXT "wild"
*.wild MX 5 mail
exists.wild A 192.0.2.9
sub.*.wild TXT "below the asterisk"
deep.exists.wild A 192.0.2.10
*.wildalias CNAME mail
*.wildaliasout CNAME www.elsewhere.test.
*.wildchain CNAME other.wild
*.wildnone CNAME nothing.here
*.ent.wildent A 192.0.2.11
dname DNAME target.dnamed
dname TXT "beside the DNAME"
host.target.dnamed A 192.0.2.12
*.wild.target.dnamed A 192.0.2.13
dnameout DNAME elsewhere.test.
dnamelong DNAME ${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}
cut NS ns.cut
cut NS ns2.cut
ns.cut A 192.0.2.20
ns.cut AAAA 2001:db8::20
ns2.cut A 192.0.2.21
target.cut A 192.0.2.22
below.ns.cut A 192.0.2.23
signedcut NS ns1
signedcut NS ns.signedcut
signedcut DS 12345 13 2 0123456789012345678901234567890123456789012345678901234567890123
ns.signedcut A 192.0.2.24
outcut NS ns1.elsewhere.test.
outcut NS ns2.elsewhere.test.
sibling NS ns.cut
sibling NS ns.signedcut
cut.in.empty NS ns.cut.in.empty
ns.cut.in.empty A 192.0.2.25
only.by.cut NS ns1.elsewhere.test.
twoaddresses NS ns3
ns3 A 192.0.2.26
ns3 AAAA 2001:db8::26
zz A 192.0.2.99
`

function head(serial: number): string {
  return `@ SOA ns1 hostmaster ${serial} 7200 3600 1209600 900\n@ NS ns1\n@ NS ns2\n@ NS ns1.elsewhere.test.\n`
}

/** The child that the zone above delegates and the same servers serve. */
export function childText(name: string): string {
  return `$ORIGIN ${name}\n$TTL 1800\n@ SOA ns hostmaster 1 7200 3600 1209600 900\n@ NS ns\nns A 192.0.2.30\nwww A 192.0.2.31\n`
}

export function mixedText(name: string): string {
  return `$ORIGIN ${name}\n$TTL 3600\n${head(1)}${MIXED}served NS ns.served\nns.served A 192.0.2.30\n`
}

export type SigningStyle = 'nsec' | 'nsec3' | 'opt-out'

/** The zone signed by BIND's dnssec-signzone, one record a line. */
export function signedText(name: string, text: string, style: SigningStyle): string {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-sign-'))
  try {
    const options = { cwd: directory, stdio: 'pipe' } as const
    execFileSync('dnssec-keygen', ['-q', '-a', 'ECDSAP256SHA256', '-f', 'KSK', name], options)
    writeFileSync(join(directory, 'zone'), text)
    const denial = {
      nsec: [],
      nsec3: ['-3', 'aabbccdd', '-H', '3'],
      'opt-out': ['-3', '-', '-A', '-H', '0'],
    }[style]
    const rest = ['-z', '-S', '-P', '-O', 'full', '-o', name, '-f', 'signed', 'zone']
    execFileSync('dnssec-signzone', [...denial, ...rest], options)
    return readFileSync(join(directory, 'signed'), 'utf8')
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
