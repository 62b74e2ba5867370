internal import RoostWire

/// Looking ahead in a batch: what its next puts will touch is brought near while earlier ones run.
extension ReplicatedState {
  /// Looks at some requests from `offset` on, and answers where the next look is due.
  ///
  /// It changes nothing, so it may guess: bytes that only look like a put to a session cost a moment.
  func lookAhead(in payload: [UInt8], from offset: Int) -> Int {
    var keys = InlineArray<16, Range<Int>>(repeating: 0..<0)
    var count = 0
    var next = offset
    while count < OrderedMap.lookAheadWidth {
      guard let request = Self.nextRequest(in: payload, at: &next) else { break }
      if let key = Self.keyOfPut(in: payload, request) {
        keys[count] = key
        count += 1
      }
    }
    keyspace.prefetch(keys, count: count, in: payload)
    return max(next, offset + 1)
  }

  /// Looks at the first operations of a transaction.
  func lookAhead(in operations: ArraySlice<Operation>) {
    guard operations.count > 1 else { return }
    var bytes: [UInt8] = []
    var keys = InlineArray<16, Range<Int>>(repeating: 0..<0)
    var count = 0
    for operation in operations.prefix(OrderedMap.lookAheadWidth) {
      guard case .put(let put) = operation else { continue }
      keys[count] = bytes.count..<(bytes.count + put.key.count)
      bytes += put.key
      count += 1
    }
    keyspace.prefetch(keys, count: count, in: bytes)
  }

  /// Where the key lies if the request is a put under a session.
  private static func keyOfPut(in payload: [UInt8], _ request: Range<Int>) -> Range<Int>? {
    let command = request.lowerBound + 24
    guard request.count > 28, payload[command] == 1 else { return nil }
    let byteCount = Int(payload[command + 2]) | Int(payload[command + 3]) << 8
    guard byteCount > 0, command + 4 + byteCount <= request.upperBound else { return nil }
    return (command + 4)..<(command + 4 + byteCount)
  }
}
