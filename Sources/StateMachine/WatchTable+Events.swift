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

  /// Watches of one connection that are told the same.
  struct Audience {
    let connection: UInt64
    let watches: [UInt64]
    let wantsPrevious: Bool

    init(_ watches: [UInt64], of party: Party) {
      connection = party.connection
      self.watches = watches
      wantsPrevious = party.request.wantsPrevious
    }

    init(_ watcher: Watcher) {
      connection = watcher.id.connection
      watches = [watcher.id.watch]
      wantsPrevious = watcher.request.wantsPrevious
    }
  }

  /// Encoded changes.
  struct LastBody: Sendable {
    var positions: ArraySlice<UInt64> = []
    var hasPrevious = false
    var bytes: [UInt8] = []
  }

  /// News without changes.
  enum Notice {
    case note(through: UInt64)
    case end(UInt64, compactedBelow: Revision)
  }

  /// Whether a session may still see a range.
  func mayBeTold(_ range: KeyRange, _ session: SessionID, _ state: ReplicatedState) -> Bool {
    state.permits.map { $0(.read(range), session) } ?? true
  }

  /// Appends events with changes, each of them not much longer than a fragment; answers their length.
  ///
  /// The connection is one that lives.
  @discardableResult
  mutating func send(
    _ part: EventPart,
    to audience: Audience,
    _ state: ReplicatedState,
    _ output: inout WatchOutput
  ) -> Int {
    let changes = state.keyspace.changes
    let before = output.bytes.count
    var rest = part.positions
    while !rest.isEmpty {
      var byteCount = 0
      let end = rest.firstIndex { position in
        defer {
          byteCount += changes[position].eventByteCount(withPrevious: audience.wantsPrevious)
        }
        return byteCount >= fragmentByteCount
      }
      let taken = rest[rest.startIndex..<(end ?? rest.endIndex)]
      rest = rest[taken.endIndex...]
      guard let last = taken.last else { break }
      let revision = changes[last].revision
      let next = rest.first.map { changes[$0].revision }
      let start = output.bytes.count
      output.bytes.appendHead(
        of: audience.watches,
        next == nil ? part.through : revision,
        flags: (next.map { $0 == revision } ?? part.hasMore) ? 1 : 0,
        count: taken.count
      )
      if part.isShared {
        appendShared(taken, withPrevious: audience.wantsPrevious, changes, &output)
      } else {
        for position in taken {
          changes[position].encode(withPrevious: audience.wantsPrevious, into: &output.bytes)
        }
      }
      didAppend(from: start, to: audience, &output)
    }
    return output.bytes.count - before
  }

  private mutating func appendShared(
    _ positions: ArraySlice<UInt64>,
    withPrevious: Bool,
    _ changes: ChangeLog,
    _ output: inout WatchOutput
  ) {
    if lastBody.positions != positions || lastBody.hasPrevious != withPrevious {
      lastBody = LastBody(positions: positions, hasPrevious: withPrevious)
      for position in positions {
        changes[position].encode(withPrevious: withPrevious, into: &lastBody.bytes)
      }
    }
    output.bytes += lastBody.bytes
  }

  /// Appends an event without changes.
  mutating func send(_ notice: Notice, to audience: Audience, _ output: inout WatchOutput) {
    let start = output.bytes.count
    switch notice {
    case .note(let revision):
      output.bytes.appendHead(of: audience.watches, revision, flags: 0, count: 0)
    case .end(let revision, let lowest):
      let event = WatchEvent(
        watches: audience.watches,
        revision: Revision(revision),
        compactedBelow: lowest
      )
      Event.watch(event).encode(into: &output.bytes)
    }
    didAppend(from: start, to: audience, &output)
  }

  private mutating func didAppend(
    from start: Int,
    to audience: Audience,
    _ output: inout WatchOutput
  ) {
    let end = output.bytes.count
    output.events.append((audience.connection, audience.watches.count, start..<end))
    accounts[audience.connection]?.unsentBytes += end - start
  }
}

extension [UInt8] {
  /// Appends the front of an `Event` with a `WatchEvent` that does not end its watch.
  fileprivate mutating func appendHead(
    of watches: [UInt64],
    _ revision: UInt64,
    flags: UInt8,
    count: Int
  ) {
    append(16)
    append(littleEndian: UInt32(watches.count))
    append(littleEndian: watches)
    append(littleEndian: revision)
    append(flags)
    append(littleEndian: UInt64(0))
    append(littleEndian: UInt32(count))
  }
}

extension Change {
  private var told: Record? { previous.flatMap { $0.isTombstone ? nil : $0 } }

  /// How many bytes ``encode(withPrevious:into:)`` appends.
  func eventByteCount(withPrevious: Bool) -> Int {
    1 + record.encodedByteCount(withValue: true)
      + (withPrevious ? told?.encodedByteCount(withValue: true) ?? 0 : 0)
  }

  /// Appends the change as a `WatchEvent.Change`.
  func encode(withPrevious: Bool, into output: inout [UInt8]) {
    let previous = withPrevious ? told : nil
    output.append((record.isTombstone ? 1 : 0) | (previous == nil ? 0 : 2))
    record.encode(into: &output)
    previous?.encode(into: &output)
  }
}
