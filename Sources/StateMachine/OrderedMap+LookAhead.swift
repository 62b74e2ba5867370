internal import RoostWire

/// Looking ahead: a batch brings near what its next writes will touch.
///
/// A write to a large map waits for memory at each node of its path and at the record that it replaces. The waits of several
/// writes run side by side if all of them take each step together, before the first of them is performed.
extension OrderedMap {
  /// How many keys look ahead together.
  static let lookAheadWidth = 16

  /// Brings near the paths to keys, which lie in `bytes`; wrong guesses cost time alone.
  ///
  /// When all records are on their way, `body` is lent those that were guessed.
  func prefetch(
    _ keys: InlineArray<16, Range<Int>>,
    count: Int,
    in bytes: [UInt8],
    _ body: (borrowing Record) -> Void
  ) {
    guard let top = topNode, !top.isLeaf, count > 1 else { return }
    // SAFETY: the map keeps its nodes for as long as this runs.
    var nodes = unsafe InlineArray<16, Unmanaged<MapNode>>(repeating: .passUnretained(top))
    for _ in 0..<top.level {
      for index in 0..<count {
        let key = bytes.span.extracting(keys[index])
        unsafe nodes[index] = nodes[index]._withUnsafeGuaranteedRef {
          unsafe $0.likelyChild(for: key)
        }
        unsafe nodes[index]._withUnsafeGuaranteedRef { $0.prefetch() }
      }
    }
    var places = InlineArray<16, Int>(repeating: 0)
    for index in 0..<count {
      let key = bytes.span.extracting(keys[index])
      places[index] = unsafe nodes[index]._withUnsafeGuaranteedRef { $0.likelyPlace(for: key) }
    }
    for index in 0..<count {
      let place = places[index]
      unsafe nodes[index]._withUnsafeGuaranteedRef { $0.prefetchRecord(at: place) }
    }
    for index in 0..<count {
      let place = places[index]
      unsafe nodes[index]._withUnsafeGuaranteedRef { $0.withRecord(at: place, body) }
    }
  }
}

extension OrderedMap {
  /// Brings near the whole versions of keys, which lie in `bytes`.
  func prefetchVersions(_ keys: InlineArray<16, Range<Int>>, count: Int, in bytes: [UInt8]) {
    prefetch(keys, count: count, in: bytes) { record in record.prefetch(384) }
  }
}

extension Keyspace {
  /// Brings near what writes to keys, which lie in `bytes`, will touch.
  func prefetch(_ keys: InlineArray<16, Range<Int>>, count: Int, in bytes: [UInt8]) {
    spares.prefetch(count)
    map.prefetch(keys, count: count, in: bytes) { record in
      changes.prefetch(at: record.position)
    }
  }
}
