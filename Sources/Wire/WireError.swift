/// Why bytes from a peer, a client or a file do not say what they should.
@usableFromInline
package enum WireError: Error, Equatable, Hashable, Sendable {
  /// The bytes end before the value does.
  case truncated(needed: Int, available: Int)
  /// Bytes are left after the value's end.
  case trailing(byteCount: Int)
  /// A length is over its limit. It is seen before anything is allocated for it.
  case tooLarge(what: String, byteCount: UInt64, limit: Int)
  /// The checksum does not match the bytes it covers.
  case checksum
  /// A field holds what its format forbids.
  case invalid(String)
}

extension WireError {
  /// Whether something was over its limit.
  package var isTooLarge: Bool {
    if case .tooLarge = self { true } else { false }
  }
}

extension WireError: CustomStringConvertible {
  @usableFromInline
  package var description: String {
    switch self {
    case .truncated(let needed, let available): "needs \(needed) bytes, has \(available)"
    case .trailing(let byteCount): "\(byteCount) bytes left over"
    case .tooLarge(let what, let byteCount, let limit):
      "\(what) of \(byteCount) bytes is over the limit of \(limit)"
    case .checksum: "checksum does not match"
    case .invalid(let what): "invalid \(what)"
    }
  }
}
