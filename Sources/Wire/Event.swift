/// What a node tells a client without being asked at that moment.
///
///     offset  size  field
///     0       1     kind   1 lock resolved, 2 lock lost, 16 watch
///     1       ...   body
package enum Event: Hashable, Sendable {
  /// Kind 1: an `acquire` waits no longer; its sequence, 8 bytes, and its final reply.
  case lockResolved(SequenceNumber, Reply)
  /// Kind 2: an operator took away a grant; its token, 8 bytes, and the lock's name, 2+n bytes.
  case lockLost(token: UInt64, name: [UInt8])
  /// Kind 16: what a watch saw, or several that saw the same.
  case watch(WatchEvent)
}

/// Kind 16: news of one watch, or of several on one connection that are told the same at the same moment.
///
///     size  field
///     4     watches    how many follow, at least one
///     8n    watch      the client's number for each; none stands there twice
///     8     revision   everything of these watches up to here has now been sent, unless more follows
///     1     flags      bit 0: more of this revision follows; bit 1: these watches end here
///     8     oldest     the lowest revision that a watch can start from, if it ends here; else 0
///     4     changes    how many follow; none: a progress note
///     ...   changes
package struct WatchEvent: Hashable, Sendable {
  /// One key's change.
  ///
  ///     size  field
  ///     1     flags     bit 0: removed; bit 1: previous follows
  ///     ...   key and value; of a removed key, key and modification revision alone count
  ///     ...   previous  a key and value
  package struct Change: Hashable, Sendable {
    package let isRemoval: Bool
    package let entry: KeyValue
    package let previous: KeyValue?

    package init(isRemoval: Bool, entry: KeyValue, previous: KeyValue? = nil) {
      self.isRemoval = isRemoval
      self.entry = entry
      self.previous = previous
    }
  }

  /// Whom it concerns; at least one.
  package let watches: [UInt64]
  package let revision: Revision
  package let hasMore: Bool
  /// Set when the watch ends because history before this revision is gone.
  package let compactedBelow: Revision?
  package let changes: [Change]

  package init(
    watches: [UInt64],
    revision: Revision,
    hasMore: Bool = false,
    compactedBelow: Revision? = nil,
    changes: [Change] = []
  ) {
    precondition(!watches.isEmpty, "news concerns somebody")
    self.watches = watches
    self.revision = revision
    self.hasMore = hasMore
    self.compactedBelow = compactedBelow
    self.changes = changes
  }
}

extension Event: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    switch try input.read(UInt8.self) {
    case 1:
      let sequence = try SequenceNumber(decoding: &input)
      self = .lockResolved(sequence, try Reply(decoding: &input))
    case 2: self = .lockLost(token: try input.read(), name: try input.readLockName())
    case 16: self = .watch(try WatchEvent(decoding: &input))
    default: throw .invalid("event kind")
    }
  }

  package func encode(into output: inout [UInt8]) {
    switch self {
    case .lockResolved(let sequence, let reply):
      output.append(1)
      sequence.encode(into: &output)
      reply.encode(into: &output)
    case .lockLost(let token, let name):
      output.append(2)
      output.append(littleEndian: token)
      output.append(short: name)
    case .watch(let event):
      output.append(16)
      event.encode(into: &output)
    }
  }
}

extension WatchEvent: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    watches = try input.readWatches()
    revision = try Revision(decoding: &input)
    let flags = try input.read(UInt8.self)
    guard flags < 4 else { throw .invalid("watch flags") }
    hasMore = flags & 1 != 0
    let oldest = try Revision(decoding: &input)
    guard flags & 2 != 0 || oldest == .zero else { throw .invalid("watch end") }
    compactedBelow = flags & 2 == 0 ? nil : oldest
    changes = try input.readList()
  }

  package func encode(into output: inout [UInt8]) {
    output.append(littleEndian: UInt32(watches.count))
    output.append(littleEndian: watches)
    revision.encode(into: &output)
    output.append((hasMore ? 1 : 0) | (compactedBelow == nil ? 0 : 2))
    (compactedBelow ?? .zero).encode(into: &output)
    output.append(list: changes)
  }
}

extension Span<UInt8> {
  fileprivate mutating func readWatches() throws(WireError) -> [UInt64] {
    let count = Int(try read(UInt32.self))
    guard count > 0 else { throw .invalid("watch count") }
    guard self.count / 8 >= count else {
      throw .truncated(needed: 8 * count, available: self.count)
    }
    var watches: [UInt64] = []
    watches.reserveCapacity(count)
    for _ in 0..<count { watches.append(try read()) }
    return watches
  }
}

extension WatchEvent.Change: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    let flags = try input.read(UInt8.self)
    guard flags < 4 else { throw .invalid("change flags") }
    isRemoval = flags & 1 != 0
    entry = try KeyValue(decoding: &input)
    previous = flags & 2 == 0 ? nil : try KeyValue(decoding: &input)
  }

  package func encode(into output: inout [UInt8]) {
    output.append((isRemoval ? 1 : 0) | (previous == nil ? 0 : 2))
    entry.encode(into: &output)
    previous?.encode(into: &output)
  }
}
