internal import RoostWire

/// Queries that are answered together, in one piece of memory.
package struct QueryBatch: Sendable {
  fileprivate private(set) var bytes: [UInt8] = []
  /// Where each query ends; the next one begins there.
  private var ends: [Int] = []

  package init() {}

  package var count: Int { ends.count }

  /// Adds a query's bytes, and answers its place.
  package mutating func add(_ query: borrowing Span<UInt8>) -> Int {
    bytes.append(contentsOf: query)
    ends.append(bytes.count)
    return ends.count - 1
  }

  fileprivate func range(at place: Int) -> Range<Int> {
    (place > 0 ? ends[place - 1] : 0)..<ends[place]
  }
}

extension ReplicatedState {
  /// Answers the query at a place of a batch by appending a reply; best in the order of the places.
  ///
  /// Now and then it looks ahead: what the next queries will touch is brought near all at once.
  package func read(_ batch: QueryBatch, at place: Int, into output: inout [UInt8]) {
    if place % OrderedMap.lookAheadWidth == 0 { lookAhead(in: batch, from: place) }
    read(batch.bytes.span.extracting(batch.range(at: place)), into: &output)
  }

  private func lookAhead(in batch: QueryBatch, from place: Int) {
    var keys = InlineArray<16, Range<Int>>(repeating: 0..<0)
    var count = 0
    for next in place..<min(place + OrderedMap.lookAheadWidth, batch.count) {
      let query = batch.range(at: next)
      guard let key = Self.keyOfGet(batch.bytes.span.extracting(query)) else { continue }
      keys[count] = query.lowerBound + key.lowerBound..<query.lowerBound + key.upperBound
      count += 1
    }
    keyspace.map.prefetchVersions(keys, count: count, in: batch.bytes)
  }
}
