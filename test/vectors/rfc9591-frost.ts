/** RFC 9591 Appendix E.1 and E.2: FROST(Ed25519, SHA-512) and FROST(Ed448, SHAKE256), nodes 1 and 3 of 3, threshold 2. Hex. */

export interface FrostVector {
  readonly suite: 'ed25519' | 'ed448'
  readonly publicKey: string
  readonly message: string
  /** Of nodes 1, 2 and 3. */
  readonly shares: readonly string[]
  /** Of nodes 1 and 3. */
  readonly signers: readonly FrostVectorSigner[]
  readonly signature: string
}

export interface FrostVectorSigner {
  readonly index: number
  readonly hidingRandomness: string
  readonly bindingRandomness: string
  readonly hidingCommitment: string
  readonly bindingCommitment: string
  readonly signatureShare: string
}

export const FROST_VECTORS: readonly FrostVector[] = [
  {
    suite: 'ed25519',
    publicKey: '15d21ccd7ee42959562fc8aa63224c8851fb3ec85a3faf66040d380fb9738673',
    message: '74657374',
    shares: [
      '929dcc590407aae7d388761cddb0c0db6f5627aea8e217f4a033f2ec83d93509',
      'a91e66e012e4364ac9aaa405fcafd370402d9859f7b6685c07eed76bf409e80d',
      'd3cb090a075eb154e82fdb4b3cb507f110040905468bb9c46da8bdea643a9a02',
    ],
    signers: [
      {
        index: 1,
        hidingRandomness: '0fd2e39e111cdc266f6c0f4d0fd45c947761f1f5d3cb583dfcb9bbaf8d4c9fec',
        bindingRandomness: '69cd85f631d5f7f2721ed5e40519b1366f340a87c2f6856363dbdcda348a7501',
        hidingCommitment: 'b5aa8ab305882a6fc69cbee9327e5a45e54c08af61ae77cb8207be3d2ce13de3',
        bindingCommitment: '67e98ab55aa310c3120418e5050c9cf76cf387cb20ac9e4b6fdb6f82a469f932',
        signatureShare: '001719ab5a53ee1a12095cd088fd149702c0720ce5fd2f29dbecf24b7281b603',
      },
      {
        index: 3,
        hidingRandomness: '86d64a260059e495d0fb4fcc17ea3da7452391baa494d4b00321098ed2a0062f',
        bindingRandomness: '13e6b25afb2eba51716a9a7d44130c0dbae0004a9ef8d7b5550c8a0e07c61775',
        hidingCommitment: 'cfbdb165bd8aad6eb79deb8d287bcc0ab6658ae57fdcc98ed12c0669e90aec91',
        bindingCommitment: '7487bc41a6e712eea2f2af24681b58b1cf1da278ea11fe4e8b78398965f13552',
        signatureShare: 'bd86125de990acc5e1f13781d8e32c03a9bbd4c53539bbc106058bfd14326007',
      },
    ],
    signature:
      '36282629c383bb820a88b71cae937d41f2f2adfcc3d02e55507e2fb9e2dd3cbebd9d2b0844e49ae0f3fa935161e1419aab7b47d21a37ebeae1f17d4987b3160b',
  },
  {
    suite: 'ed448',
    publicKey:
      '3832f82fda00ff5365b0376df705675b63d2a93c24c6e81d40801ba265632be10f443f95968fadb70d10786827f30dc001c8d0f9b7c1d1b000',
    message: '74657374',
    shares: [
      '4a2b2f5858a932ad3d3b18bd16e76ced3070d72fd79ae4402df201f525e754716a1bc1b87a502297f2a99d89ea054e0018eb55d39562fd0100',
      '2503d56c4f516444a45b080182b8a2ebbe4d9b2ab509f25308c88c0ea7ccdc44e2ef4fc4f63403a11b116372438a1e287265cadeff1fcb0700',
      '00db7a8146f995db0a7cf844ed89d8e94c2b5f259378ff66e39d172828b264185ac4decf7219e4aa4478285b9c0eef4fccdf3eea69dd980d00',
    ],
    signers: [
      {
        index: 1,
        hidingRandomness: '9cda90c98863ef3141b75f09375757286b4bc323dd61aeb45c07de45e4937bbd',
        bindingRandomness: '781bf4881ffe1aa06f9341a747179f07a49745f8cd37d4696f226aa065683c0a',
        hidingCommitment:
          '3518c2246c874569e54ab254cb1da666ca30f7879605cc43b4d2c47a521f8b5716080ab723d3a0cd04b7e41f3cc1d3031c94ccf3829b23fe80',
        bindingCommitment:
          '11b3d5220c57d02057497de3c4eebab384900206592d877059b0a5f1d5250d002682f0e22dff096c46bb81b46d60fcfe7752ed47cea76c3900',
        signatureShare:
          'e1eb9bfbef792776b7103891032788406c070c5c315e3bf5d64acd46ea8855e85b53146150a09149665cbfec71626810b575e6f4dbe9ba3700',
      },
      {
        index: 3,
        hidingRandomness: 'b3adf97ceea770e703ab295babf311d77e956a20d3452b4b3344aa89a828e6df',
        bindingRandomness: '81dbe7742b0920930299197322b255734e52bbb91f50cfe8ce689f56fadbce31',
        hidingCommitment:
          '1254546d7d104c04e4fbcf29e05747e2edd392f6787d05a6216f3713ef859efe573d180d291e48411e5e3006e9f90ee986ccc26b7a42490b80',
        bindingCommitment:
          '3ef0cec20be15e56b3ddcb6f7b956fca0c8f71990f45316b537b4f64c5e8763e6629d7262ff7cd0235d0781f23be97bf8fa8817643ea19cd00',
        signatureShare:
          '815434eb0b9f9242d54b8baf2141fe28976cabe5f441ccfcd5ee7cdb4b52185b02b99e6de28e2ab086c7764068c5a01b5300986b9f084f3e00',
      },
    ],
    signature:
      'cd642cba59c449dad8e896a78a60e8edfcbd9040df524370891ff8077d47ce721d683874483795f0d85efcbd642c4510614328605a19c6ed806ffb773b6956419537cdfdb2b2a51948733de192dcc4b82dc31580a536db6d435e0cb3ce322fbcf9ec23362dda27092c08767e607bf2093600',
  },
]
