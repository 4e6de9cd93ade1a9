/**
 * What blocks are hashed and signed with: SHA-256 and Ed25519, by node:crypto. Keys are what OpenSSL writes: a private key in
 * PKCS#8, a public one in SPKI, both DER in base64.
 *
 *     openssl genpkey -algorithm ed25519 -outform DER | base64 -w0
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash as digest,
  type KeyObject,
  randomBytes,
  sign,
  verify
} from "node:crypto"
import { Redacted } from "effect"
import type { Signer } from "#domain/sealing/Block.ts"
import { digestBytes, type Hash } from "#domain/sealing/Hash.ts"
import type { PublicKey } from "#domain/sealing/Receipt.ts"
import type { Trusted } from "#domain/sealing/Verification.ts"

export const sha256: Hash = {
  // Half the time of asking for a buffer: a short string is cheaper to come by than memory outside of the heap.
  bytes: (data) => {
    const text = digest("sha256", data, "binary")
    const bytes = new Uint8Array(digestBytes)
    for (let at = 0; at < digestBytes; at++) bytes[at] = text.charCodeAt(at)
    return bytes
  },
  hex: (data) => digest("sha256", data, "hex")
}

const fromBase64 = (text: string) => Buffer.from(text, "base64")

/** A published key by its base64. It is named by the first 16 hexadecimal digits of its SHA-256. */
export const publicKeyOf = (publicKey: string): PublicKey => ({
  id: sha256.hex(fromBase64(publicKey)).slice(0, 16),
  publicKey
})

const published = (key: KeyObject): PublicKey =>
  publicKeyOf(key.export({ format: "der", type: "spki" }).toString("base64"))

/** Signs with a private key; and the public key that goes with it. */
export const signerOf = (privateKey: Redacted.Redacted<string>): Signer & { readonly publicKey: PublicKey } => {
  const key = createPrivateKey({ key: fromBase64(Redacted.value(privateKey)), format: "der", type: "pkcs8" })
  const publicKey = published(createPublicKey(key))
  return {
    publicKey,
    keyId: publicKey.id,
    sign: (text) => sign(null, Buffer.from(text), key).toString("hex")
  }
}

/** Trusts the keys that are given, and no other. */
export const trusting = (publicKeys: ReadonlyArray<PublicKey>): Trusted => {
  const keys = new Map(publicKeys.map(({ id, publicKey }) => [
    id,
    createPublicKey({ key: fromBase64(publicKey), format: "der", type: "spki" })
  ]))
  return (keyId, text, signature) => {
    const key = keys.get(keyId)
    if (key === undefined) return "unknown"
    return verify(null, Buffer.from(text), key, Buffer.from(signature, "hex")) ? "valid" : "invalid"
  }
}

/** A new private key. */
export const newPrivateKey = (): string =>
  generateKeyPairSync("ed25519").privateKey.export({ format: "der", type: "pkcs8" }).toString("base64")

/** 32 bytes that nobody can guess, as hexadecimal digits. */
export const newSecret = (): string => randomBytes(32).toString("hex")
