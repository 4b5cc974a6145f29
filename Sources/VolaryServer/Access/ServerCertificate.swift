internal import Crypto
internal import Foundation
internal import Glibc
internal import NIOSSL
internal import SwiftASN1
internal import VolaryAPI
internal import X509

/// What the daemon proves with over the network who it is: a certificate that it signs itself, made when it is
/// first needed and kept beside its data. Clients know it by its fingerprint.
struct ServerCertificate: Sendable {
  private static let lifetime: TimeInterval = 10 * 365 * 86_400

  let pem: String
  /// SHA-256 of its DER form, in hexadecimal digits.
  let fingerprint: String
  let context: NIOSSLContext

  /// Reads `server.crt` and `server.key` in a directory; makes both when neither is there.
  init(directory: String, host: String) throws {
    let (certificatePath, keyPath) = (directory + "/server.crt", directory + "/server.key")
    let files = FileManager.default
    if !files.fileExists(atPath: certificatePath), !files.fileExists(atPath: keyPath) {
      let (certificate, key) = try Self.make(host: host)
      try Self.write(key, to: keyPath, mode: 0o600)
      try Self.write(certificate, to: certificatePath, mode: 0o644)
    }
    do {
      pem = try String(contentsOfFile: certificatePath, encoding: .utf8)
      let chain = try NIOSSLCertificate.fromPEMBytes(Array(pem.utf8))
      let key = try NIOSSLPrivateKey(file: keyPath, format: .pem)
      guard let own = chain.first else { throw APIError(.failed, "it is empty") }
      fingerprint = try Self.fingerprint(own.toDERBytes())
      var configuration = TLSConfiguration.makeServerConfiguration(
        certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
      configuration.minimumTLSVersion = .tlsv12
      // Clients may show a certificate. Which one it is decides, not who signed it.
      configuration.certificateVerification = .optionalVerification
      configuration.applicationProtocols = ["http/1.1"]
      context = try NIOSSLContext(configuration: configuration)
    } catch {
      throw APIError(
        .failed, "the daemon's certificate in \(directory) cannot be used: \(error)",
        wayOut: "mend server.crt and server.key there, or delete both to have new ones made")
    }
  }

  static func fingerprint(_ der: [UInt8]) -> String { SHA256.hash(data: der).hexadecimal }

  private static func make(host: String) throws -> (certificate: String, key: String) {
    let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
    let name = try DistinguishedName {
      OrganizationName("Volary")
      CommonName(String(host.prefix(64)))
    }
    // RFC 6125: what clients compare is here, not in the name.
    var names: [GeneralName] = [.dnsName("localhost")]
    if host != "localhost", host.utf8.allSatisfy({ $0 < 0x80 }) { names.append(.dnsName(host)) }
    names += [
      .ipAddress(ASN1OctetString(contentBytes: [127, 0, 0, 1])),
      .ipAddress(ASN1OctetString(contentBytes: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])),
    ]
    let certificate = try Certificate(
      version: .v3, serialNumber: .init(), publicKey: key.publicKey,
      // Clocks differ.
      notValidBefore: Date(timeIntervalSinceNow: -86_400),
      notValidAfter: Date(timeIntervalSinceNow: lifetime),
      issuer: name, subject: name, signatureAlgorithm: .ecdsaWithSHA256,
      extensions: Certificate.Extensions {
        Critical(BasicConstraints.notCertificateAuthority)
        // No KeyUsage: BoringSSL would take no certificate for its own issuer whose key may not sign certificates.
        try ExtendedKeyUsage([.serverAuth])
        SubjectAlternativeNames(names)
      }, issuerPrivateKey: key)
    return (
      try certificate.serializeAsPEM().pemString + "\n", try key.serializeAsPEM().pemString + "\n"
    )
  }

  /// Writes a file that nobody sees half written.
  private static func write(_ text: String, to path: String, mode: Int) throws {
    let other = path + ".new"
    guard
      FileManager.default.createFile(
        atPath: other, contents: Data(text.utf8), attributes: [.posixPermissions: mode]),
      rename(other, path) == 0
    else { throw APIError(.failed, "cannot write \(path): \(String(cString: strerror(errno)))") }
  }
}
