/** Keys, records and signatures that RFCs print: RFC 5702 §6, RFC 6605 §6, RFC 8080 §6 with its erratum. Signatures over
 *  one RRset each. */

export interface AlgorithmVector {
  readonly rfc: string
  readonly zone: string
  readonly flags: number
  readonly algorithm: number
  readonly publicKey: string
  readonly keyTag: number
  readonly ds?: { readonly digestType: number; readonly digest: string }
  /** Fields of the private key file, as printed. */
  readonly privateKey: Readonly<Record<string, string>>
  readonly owner: string
  readonly type: number
  /** Hexadecimal, uncompressed. */
  readonly rdata: string
  readonly ttl: number
  readonly inception: string
  readonly expiration: string
  readonly signature: string
  /** Whether making it again gives the same octets. */
  readonly deterministic: boolean
}

const TYPE_A = 1
const TYPE_MX = 15
const MX_10_MAIL_EXAMPLE_COM = '000a046d61696c076578616d706c6503636f6d00'

const rfc5702 = {
  zone: 'example.net.',
  flags: 256,
  owner: 'www.example.net.',
  type: TYPE_A,
  rdata: 'c000025b',
  ttl: 3600,
  inception: '20000101000000',
  expiration: '20300101000000',
  deterministic: true,
}

const rfc6605 = {
  zone: 'example.net.',
  flags: 257,
  owner: 'www.example.net.',
  type: TYPE_A,
  rdata: 'c0000201',
  ttl: 3600,
  deterministic: false,
}

/** Verified erratum 4935 of RFC 8080: the RRSIGs of §6 are printed without the algorithm and signed with 3 labels, over an
 *  owner of two. These are the erratum's. */
const rfc8080 = {
  zone: 'example.com.',
  flags: 257,
  owner: 'example.com.',
  type: TYPE_MX,
  rdata: MX_10_MAIL_EXAMPLE_COM,
  ttl: 3600,
  inception: '20150729220000',
  expiration: '20150819220000',
  deterministic: true,
}

export const ALGORITHM_VECTORS: readonly AlgorithmVector[] = [
  {
    ...rfc5702,
    rfc: 'RFC 5702 §6.1',
    algorithm: 8,
    publicKey: 'AwEAAcFcGsaxxdgiuuGmCkVImy4h99CqT7jwY3pexPGcnUFtR2Fh36BponcwtkZ4cAgtvd4Qs8PkxUdp6p/DlUmObdk=',
    keyTag: 9033,
    privateKey: {
      Modulus: 'wVwaxrHF2CK64aYKRUibLiH30KpPuPBjel7E8ZydQW1HYWHfoGmidzC2RnhwCC293hCzw+TFR2nqn8OVSY5t2Q==',
      PublicExponent: 'AQAB',
      PrivateExponent:
        'UR44xX6zB3eaeyvTRzmskHADrPCmPWnr8dxsNwiDGHzrMKLN+i/HAam+97HxIKVWNDH2ba9Mf1SA8xu9dcHZAQ==',
      Prime1: '4c8IvFu1AVXGWeFLLFh5vs7fbdzdC6U82fduE6KkSWk=',
      Prime2: '2zZpBE8ZXVnL74QjG4zINlDfH+EOEtjJJ3RtaYDugvE=',
      Exponent1: 'G2xAPFfK0KGxGANDVNxd1K1c9wOmmJ51mGbzKFFNMFk=',
      Exponent2: 'GYxP1Pa7CAwtHm8SAGX594qZVofOMhgd6YFCNyeVpKE=',
      Coefficient: 'icQdNRjlZGPmuJm2TIadubcO8X7V4y07aVhX464tx8Q=',
    },
    signature: 'kRCOH6u7l0QGy9qpC9l1sLncJcOKFLJ7GhiUOibu4teYp5VE9RncriShZNz85mwlMgNEacFYK/lPtPiVYP4bwg==',
  },
  {
    ...rfc5702,
    rfc: 'RFC 5702 §6.2',
    algorithm: 10,
    publicKey:
      'AwEAAdHoNTOW+et86KuJOWRDp1pndvwb6Y83nSVXXyLA3DLroROUkN6X0O6pnWnjJQujX/AyhqFDxj13tOnD9u/1kTg7cV6rklMrZDtJ' +
      'CQ5PCl/D7QNPsgVsMu1J2Q8gpMpztNFLpPBz1bWXjDtaR7ZQBlZ3PFY12ZTSncorffcGmhOL',
    keyTag: 3740,
    privateKey: {
      Modulus:
        '0eg1M5b563zoq4k5ZEOnWmd2/BvpjzedJVdfIsDcMuuhE5SQ3pfQ7qmdaeMlC6Nf8DKGoUPGPXe06cP27/WRODtxXquSUytkO0kJDk8K' +
        'X8PtA0+yBWwy7UnZDyCkynO00Uuk8HPVtZeMO1pHtlAGVnc8VjXZlNKdyit99waaE4s=',
      PublicExponent: 'AQAB',
      PrivateExponent:
        'rFS1IPbJllFFgFc33B5DDlC1egO8e81P4fFadODbp56V7sphKa6AZQCx8NYAew6VXFFPAKTw41QdHnK5kIYOwxvfFDjDcUGza88qbjyr' +
        'DPSJenkeZbISMUSSqy7AMFzEolkk6WSn6k3thUVRgSlqDoOV3SEIAsrB043XzGrKIVE=',
      Prime1: '8mbtsu9Tl9v7tKSHdCIeprLIQXQLzxlSZun5T1n/OjvXSUtvD7xnZJ+LHqaBj1dIgMbCq2U8O04QVcK3TS9GiQ==',
      Prime2: '3a6gkfs74d0Jb7yL4j4adAif4fcp7ZrGt7G5NRVDDY/Mv4TERAKMa0TKN3okKE0A7X+Rv2K84mhT4QLDlllEcw==',
      Exponent1: 'v3D5A9uuCn5rgVR7wgV8ba0/KSpsdSiLgsoA42GxiB1gvvs7gJMMmVTDu/ZG1p1ZnpLbhh/S/Qd/MSwyNlxC+Q==',
      Exponent2: 'm+ezf9dsDvYQK+gzjOLWYeKq5xWYBEYFGa3BLocMiF4oxkzOZ3JPZSWU/h1Fjp5RV7aPP0Vmx+hNjYMPIQ8Y5w==',
      Coefficient: 'Je5YhYpUron/WdOXjxNAxDubAp3i5X7UOUfhJcyIggqwY86IE0Q/Bk0Dw4SC9zxnsimmdBXW2Izd8Lwuk8FQcQ==',
    },
    signature:
      'tsb4wnjRUDnB1BUi+t6TMTXThjVnG+eCkWqjvvjhzQL1d0YRoOe0CbxrVDYd0xDtsuJRaeUw1ep94PzEWzr0iGYgZBWm/zpq+9fOuagY' +
      'JRfDqfReKBzMweOLDiNa8iP5g9vMhpuv6OPlvpXwm9Sa9ZXIbNl1MBGk0fthPgxdDLw=',
  },
  {
    ...rfc6605,
    rfc: 'RFC 6605 §6.1',
    algorithm: 13,
    publicKey: 'GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==',
    keyTag: 55648,
    ds: { digestType: 2, digest: 'b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17' },
    privateKey: { PrivateKey: 'GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ=' },
    inception: '20100812100439',
    expiration: '20100909100439',
    signature: 'qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==',
  },
  {
    ...rfc6605,
    rfc: 'RFC 6605 §6.2',
    algorithm: 14,
    publicKey:
      'xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8' +
      '/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40',
    keyTag: 10771,
    ds: {
      digestType: 4,
      digest:
        '72d7b62976ce06438e9c0bf319013cf801f09ecc84b8d7e9495f27e305c6a9b0563a9b5f4d288405c3008a946df983d6',
    },
    privateKey: { PrivateKey: 'WURgWHCcYIYUPWgeLmiPY2DJJk02vgrmTfitxgqcL4vwW7BOrbawVmVe0d9V94SR' },
    inception: '20100812102025',
    expiration: '20100909102025',
    signature:
      '/L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGCeZOvzFaxsT8Glr74hbavRKayJNuydCuz' +
      'WTSSPdz7wnqXL5bdcJzusdnI0RSMROxxwGipWcJm',
  },
  {
    ...rfc8080,
    rfc: 'RFC 8080 §6.1, first key',
    algorithm: 15,
    publicKey: 'l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=',
    keyTag: 3613,
    ds: { digestType: 2, digest: '3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b' },
    privateKey: { PrivateKey: 'ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=' },
    signature: 'oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==',
  },
  {
    ...rfc8080,
    rfc: 'RFC 8080 §6.1, second key',
    algorithm: 15,
    publicKey: 'zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs=',
    keyTag: 35217,
    ds: { digestType: 2, digest: '401781b934e392de492ec77ae2e15d70f6575a1c0bc59c5275c04ebe80c6614c' },
    privateKey: { PrivateKey: 'DSSF3o0s0f+ElWzj9E/Osxw8hLpk55chkmx0LYN5WiY=' },
    signature: 'zXQ0bkYgQTEFyfLyi9QoiY6D8ZdYo4wyUhVioYZXFdT410QPRITQSqJSnzQoSm5poJ7gD7AQR0O7KuI5k2pcBg==',
  },
  {
    ...rfc8080,
    rfc: 'RFC 8080 §6.2, first key',
    algorithm: 16,
    publicKey: '3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfPodx1FYYUcJKm1MDpJtIA',
    keyTag: 9713,
    ds: { digestType: 2, digest: '6ccf18d5bc5d7fc2fceb1d59d17321402f2aa8d368048db93dd811f5cb2b19c7' },
    privateKey: {
      PrivateKey: 'xZ+5Cgm463xugtkY5B0Jx6erFTXp13rYegst0qRtNsOYnaVpMx0Z/c5EiA9x8wWbDDct/U3FhYWA',
    },
    signature:
      '3cPAHkmlnxcDHMyg7vFC34l0blBhuG1qpwLmjInI8w1CMB29FkEAIJUA0amxWndkmnBZ6SKiwZSAxGILn/NBtOXft0+Gj7FSvOKx' +
      'E/07+4RQvE581N3Aj/JtIyaiYVdnYtyMWbSNyGEY2213WKsJlwEA',
  },
  {
    ...rfc8080,
    rfc: 'RFC 8080 §6.2, second key',
    algorithm: 16,
    publicKey: 'kkreGWoccSDmUBGAe7+zsbG6ZAFQp+syPmYUurBRQc3tDjeMCJcVMRDmgcNLp5HlHAMy12VoISsA',
    keyTag: 38353,
    ds: { digestType: 2, digest: '645ff078b3568f5852b70cb60e8e696cc77b75bfaaffc118cf79cbda1ba28af4' },
    privateKey: {
      PrivateKey: 'WEykD3ht3MHkU8iH4uVOLz8JLwtRBSqiBoM6fF72+Mrp/u5gjxuB1DV6NnPO2BlZdz4hdSTkOdOA',
    },
    signature:
      'E1/oLjSGIbmLny/4fcgM1z4oL6aqo+izT3urCyHyvEp4Sp8Syg1eI+lJ57CSnZqjJP41O/9l4m0AsQ4f7qI1gVnML8vWWiyW2KXh' +
      'T9kuAICUSxv5OWbf81Rq7Yu60npabODB0QFPb/rkW3kUZmQ0YQUA',
  },
]
