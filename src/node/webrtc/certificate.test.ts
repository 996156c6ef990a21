/** The certificate is read back by Node's own parser. */
import { createPrivateKey, X509Certificate } from "node:crypto"
import { expect, test } from "vitest"
import { makeCertificate } from "./certificate.ts"

test("a certificate is signed by its own key, in force now, and named by its fingerprint", () => {
  const now = Date.UTC(2031, 2, 4, 5, 6, 7)
  const made = makeCertificate(now)
  const read = new X509Certificate(made.certificate)
  expect(read.verify(read.publicKey)).toBe(true)
  expect(read.checkPrivateKey(createPrivateKey(made.key))).toBe(true)
  expect(read.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: "prime256v1" })
  expect(read.issuer).toBe(read.subject)
  expect([Date.parse(read.validFrom), Date.parse(read.validTo)]).toEqual([now - 86_400_000, made.expires])
  expect(read.fingerprint256).toBe(
    Array.from(made.fingerprint, (byte) => byte.toString(16).padStart(2, "0").toUpperCase()).join(":"),
  )
})

test("no two are the same", () => {
  const [a, b] = [makeCertificate(), makeCertificate()]
  expect(a.fingerprint).not.toEqual(b.fingerprint)
  expect(a.key).not.toBe(b.key)
  expect(new X509Certificate(a.certificate).serialNumber).not.toBe(new X509Certificate(b.certificate).serialNumber)
})
