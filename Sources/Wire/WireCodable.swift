/// A value with one encoding, little-endian and without padding.
///
/// Every rule of a value is checked on both sides of the border: when it is built here (a
/// precondition) and when it is decoded (a thrown error).
@usableFromInline
package protocol WireCodable {
  /// Takes the value from the front of `input`.
  init(decoding input: inout Span<UInt8>) throws(WireError)

  /// Appends the value to `output`.
  func encode(into output: inout [UInt8])
}

extension WireCodable {
  /// Decodes a value that must fill `bytes` exactly.
  package init(decodingAll bytes: [UInt8]) throws(WireError) {
    try self.init(decodingAll: bytes.span)
  }

  /// Decodes a value that must fill `bytes` exactly.
  package init(decodingAll bytes: borrowing Span<UInt8>) throws(WireError) {
    var input = bytes.extracting(...)
    try self.init(decoding: &input)
    guard input.isEmpty else { throw .trailing(byteCount: input.count) }
  }

  /// The value's encoding by itself.
  package func encoded() -> [UInt8] {
    var output: [UInt8] = []
    encode(into: &output)
    return output
  }
}
