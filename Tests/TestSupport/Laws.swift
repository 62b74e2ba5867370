package import RoostWire
package import Testing

/// What every encoding promises.
package enum Laws {
  /// The value comes back from its bytes, each shorter piece is refused, and a longer one too.
  package static func roundTrip<Value: WireCodable & Equatable>(
    _ value: Value,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let bytes = value.encoded()
    let decoded = try? Value(decodingAll: bytes)
    #expect(decoded == value, sourceLocation: sourceLocation)
    for byteCount in 0..<bytes.count {
      let prefix = try? Value(decodingAll: [UInt8](bytes.prefix(byteCount)))
      #expect(prefix == nil, "\(byteCount) of \(bytes.count) bytes", sourceLocation: sourceLocation)
    }
    let longer = try? Value(decodingAll: bytes + [0])
    #expect(longer == nil, "a byte too many", sourceLocation: sourceLocation)
  }

  /// No single flipped bit is taken for the value: it is refused, or it says something else that is well formed.
  package static func everyBitCounts<Value: WireCodable & Equatable>(
    _ value: Value,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    flipEveryBit(of: value.encoded()) { flipped, position in
      let decoded = try? Value(decodingAll: flipped)
      #expect(decoded != value, "bit \(position)", sourceLocation: sourceLocation)
    }
  }

  /// Every single flipped bit is refused: for encodings that carry a checksum.
  package static func everyFlipIsRefused<Value: WireCodable>(
    _ value: Value,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    flipEveryBit(of: value.encoded()) { flipped, position in
      let decoded = try? Value(decodingAll: flipped)
      #expect(decoded == nil, "bit \(position)", sourceLocation: sourceLocation)
    }
  }

  /// Calls `body` with the bytes once for each bit, that bit turned over.
  package static func flipEveryBit(of bytes: [UInt8], _ body: ([UInt8], Int) -> Void) {
    for position in 0..<(bytes.count * 8) {
      var flipped = bytes
      flipped[position / 8] ^= 1 << (position % 8)
      body(flipped, position)
    }
  }
}
