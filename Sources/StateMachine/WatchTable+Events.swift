internal import RoostWire

/// What watchers are sent.
extension WatchTable {
  /// Changes for one watcher: whole revisions, or up to somewhere in the last one.
  struct EventPart {
    let positions: ArraySlice<UInt64>
    /// The revision up to which everything is told with them, or of which more follows.
    let through: UInt64
    var hasMore = false
    /// Whether many are told just the same, one after the other.
    var isShared = false
  }

  /// Encoded changes.
  struct LastBody: Sendable {
    var positions: ArraySlice<UInt64> = []
    var wantsPrevious = false
    var bytes: [UInt8] = []
  }

  /// News without changes.
  enum Notice {
    case note(through: UInt64)
    case end(UInt64, compactedBelow: Revision)
  }

  /// Whether the watcher's session may still see the range; if not, the watch ends here.
  mutating func mayBeTold(
    _ slot: Int,
    _ watcher: Watcher,
    _ state: ReplicatedState,
    _ output: inout WatchOutput
  ) -> Bool {
    guard let permits = state.permits, !permits(.read(watcher.request.range), watcher.session)
    else { return true }
    send(.end(watcher.next - 1, compactedBelow: .zero), to: slot, &output)
    cancel(watcher.id)
    return false
  }

  /// Appends events with changes, each of them not much longer than a fragment; answers their length.
  @discardableResult
  mutating func send(
    _ part: EventPart,
    to slot: Int,
    _ state: ReplicatedState,
    _ output: inout WatchOutput
  ) -> Int {
    guard let watcher = watchers[slot], accounts[watcher.id.connection] != nil else { return 0 }
    let changes = state.keyspace.changes
    let before = output.bytes.count
    var rest = part.positions
    while !rest.isEmpty {
      var byteCount = 0
      let end = rest.firstIndex { position in
        defer { byteCount += changes[position].eventByteCount(of: watcher.request) }
        return byteCount >= fragmentByteCount
      }
      let taken = rest[rest.startIndex..<(end ?? rest.endIndex)]
      rest = rest[taken.endIndex...]
      guard let last = taken.last else { break }
      let revision = changes[last].revision
      let next = rest.first.map { changes[$0].revision }
      let start = output.bytes.count
      output.bytes.appendHead(
        of: watcher.id.watch,
        next == nil ? part.through : revision,
        flags: (next.map { $0 == revision } ?? part.hasMore) ? 1 : 0,
        count: taken.count
      )
      if part.isShared, taken.count > 1 {
        appendShared(taken, for: watcher.request, changes, &output)
      } else {
        for position in taken {
          changes[position].encode(for: watcher.request, into: &output.bytes)
        }
      }
      output.events.append((watcher.id, start..<output.bytes.count))
    }
    let byteCount = output.bytes.count - before
    accounts[watcher.id.connection]?.unsentBytes += byteCount
    return byteCount
  }

  private mutating func appendShared(
    _ positions: ArraySlice<UInt64>,
    for request: WatchRequest,
    _ changes: ChangeLog,
    _ output: inout WatchOutput
  ) {
    if lastBody.positions != positions || lastBody.wantsPrevious != request.wantsPrevious {
      lastBody = LastBody(positions: positions, wantsPrevious: request.wantsPrevious)
      for position in positions { changes[position].encode(for: request, into: &lastBody.bytes) }
    }
    output.bytes += lastBody.bytes
  }

  /// Appends an event without changes.
  mutating func send(_ notice: Notice, to slot: Int, _ output: inout WatchOutput) {
    guard let id = watchers[slot]?.id, accounts[id.connection] != nil else { return }
    let start = output.bytes.count
    switch notice {
    case .note(let revision):
      output.bytes.appendHead(of: id.watch, revision, flags: 0, count: 0)
    case .end(let revision, let lowest):
      let event = WatchEvent(
        watch: id.watch,
        revision: Revision(revision),
        compactedBelow: lowest
      )
      Event.watch(event).encode(into: &output.bytes)
    }
    output.events.append((id, start..<output.bytes.count))
    accounts[id.connection]?.unsentBytes += output.bytes.count - start
  }
}

extension [UInt8] {
  /// Appends the front of an `Event` with a `WatchEvent` that does not end its watch.
  fileprivate mutating func appendHead(
    of watch: UInt64,
    _ revision: UInt64,
    flags: UInt8,
    count: Int
  ) {
    append(16)
    append(littleEndian: watch)
    append(littleEndian: revision)
    append(flags)
    append(littleEndian: UInt64(0))
    append(littleEndian: UInt32(count))
  }
}

extension Change {
  private func told(_ request: WatchRequest) -> Record? {
    request.wantsPrevious ? previous.flatMap { $0.isTombstone ? nil : $0 } : nil
  }

  /// How many bytes ``encode(for:into:)`` appends.
  func eventByteCount(of request: WatchRequest) -> Int {
    1 + record.encodedByteCount(withValue: true)
      + (told(request)?.encodedByteCount(withValue: true) ?? 0)
  }

  /// Appends the change as a `WatchEvent.Change`.
  func encode(for request: WatchRequest, into output: inout [UInt8]) {
    let previous = told(request)
    output.append((record.isTombstone ? 1 : 0) | (previous == nil ? 0 : 2))
    record.encode(into: &output)
    previous?.encode(into: &output)
  }
}
