package import RoostWire

/// A state as a stream of chunks, from which another replica makes the same state.
///
/// The stream is a function of the state alone, byte for byte. It begins with a header, ends with an end
/// mark that carries the state's hash (8 bytes) and a CRC-32C of all that is before the mark, and consists of items in the order of ``SnapshotSection``. A chunk
/// holds whole items, and only as many as fit ``chunkByteCount``, so that neither side needs more memory
/// than that beside the state.
///
/// An item:
///
///     size  field
///     1     section
///     4     length of the rest
///     ...   body
package struct SnapshotWriter: Sendable {
  package static let version: UInt32 = 2
  static let magic: UInt64 = 0x4554_4154_5354_534F
  /// Chunks are about this long, unless a single record is longer.
  package static let chunkByteCount = 1 << 18

  private let state: ReplicatedState
  private var section: SnapshotSection? = .header
  /// How far the section is: the next slot or position, and for records the last key.
  private var index = 0
  private var lastKey: [UInt8]?
  private var checksum = CRC32C()
  /// Whether changes are no longer the newest of their keys, while they are written.
  private var isSuperseded: [Bool] = []

  /// Prepares to write `state` as it is now; later changes of the original don't matter.
  package init(of state: ReplicatedState) { self.state = state }

  /// The next chunk, or nil after the last.
  package mutating func nextChunk() -> [UInt8]? {
    guard section != nil else { return nil }
    var chunk: [UInt8] = []
    chunk.reserveCapacity(Self.chunkByteCount + 4096)
    while let section, chunk.count < Self.chunkByteCount {
      let isFinished =
        switch section {
        case .header: writeHeader(into: &chunk)
        case .records: write(state.keyspace.map, into: &chunk)
        case .changes: writeChanges(into: &chunk)
        case .sessions: write(state.sessions, into: &chunk)
        case .leases: write(state.leases, into: &chunk)
        case .locks: write(state.locks.locks, into: &chunk)
        case .claims: write(state.locks.claims, into: &chunk)
        case .parts: write(state.locks.parts, into: &chunk)
        case .bindings: write(state.locks.bindings, into: &chunk)
        case .oneShots: write(state.oneShots, into: &chunk)
        case .timers: writeTimers(into: &chunk)
        case .end: writeEnd(into: &chunk)
        }
      guard isFinished else { continue }
      index = 0
      lastKey = nil
      self.section = SnapshotSection(rawValue: section.rawValue + 1)
    }
    checksum.update(with: chunk.span)
    return chunk
  }

  private func item(
    _ section: SnapshotSection,
    _ body: (inout [UInt8]) -> Void,
    to chunk: inout [UInt8]
  ) {
    chunk.append(section.rawValue)
    let start = chunk.count
    chunk.append(littleEndian: UInt32(0))
    body(&chunk)
    chunk.overwrite(at: start, littleEndian: UInt32(chunk.count - start - 4))
  }

  private func writeHeader(into chunk: inout [UInt8]) -> Bool {
    item(
      .header,
      { body in
        body.append(littleEndian: Self.magic)
        body.append(littleEndian: Self.version)
        SnapshotHeader(of: state).encode(into: &body)
      },
      to: &chunk
    )
    return true
  }

  private mutating func writeEnd(into chunk: inout [UInt8]) -> Bool {
    checksum.update(with: chunk.span)
    let body = { (body: inout [UInt8]) in
      body.append(littleEndian: state.stateHash)
      body.append(littleEndian: checksum.value)
    }
    item(.end, body, to: &chunk)
    return true
  }

  private mutating func write(_ map: OrderedMap, into chunk: inout [UInt8]) -> Bool {
    guard let section else { return true }
    var isFinished = true
    let start = lastKey.map { $0 + [0] } ?? []
    var last: Record?
    map.visit(from: start.span, to: nil) { record in
      guard chunk.count < Self.chunkByteCount else {
        isFinished = false
        return false
      }
      item(section, { record.encodeWhole(into: &$0) }, to: &chunk)
      last = record
      return true
    }
    lastKey = last?.key ?? lastKey
    return isFinished
  }

  private mutating func write<Element: SnapshotElement>(
    _ table: SlotTable<Element>,
    into chunk: inout [UInt8]
  ) -> Bool {
    guard let section else { return true }
    while index <= table.slotCount, chunk.count < Self.chunkByteCount {
      // The last item of a table is where its free slots begin.
      item(section, { table.encodeSlot(index, into: &$0) }, to: &chunk)
      index += 1
    }
    return index > table.slotCount
  }

  private mutating func writeChanges(into chunk: inout [UInt8]) -> Bool {
    let changes = state.keyspace.changes
    // A look at each change's past, in order, is much less than a search for each key.
    if index == 0 { isSuperseded = changes.isSuperseded }
    while index < changes.count, chunk.count < Self.chunkByteCount {
      let change = changes[changes.first + UInt64(index)]
      let isNewest = !isSuperseded[index]
      item(.changes, { encode(change, isNewest: isNewest, into: &$0) }, to: &chunk)
      index += 1
    }
    guard index >= changes.count else { return false }
    isSuperseded = []
    return true
  }

  /// A change: its time, the version it made, and the one before if no earlier change has it.
  ///
  /// A version that is the newest of its key stands among the records already: its key is enough.
  private func encode(_ change: Change, isNewest: Bool, into body: inout [UInt8]) {
    body.append(littleEndian: change.time)
    let first = state.keyspace.changes.first
    let needsPrevious = change.previous.map { $0.position < first } ?? false
    body.append((isNewest ? 1 : 0) | (change.previous == nil ? 0 : 2) | (needsPrevious ? 4 : 0))
    if isNewest {
      body.append(short: change.record.key)
    } else {
      change.record.encodeWhole(into: &body)
    }
    guard let previous = change.previous else { return }
    if needsPrevious {
      previous.encodeWhole(into: &body)
    } else {
      body.append(littleEndian: previous.position)
    }
  }

  private mutating func writeTimers(into chunk: inout [UInt8]) -> Bool {
    while index < state.timers.count, chunk.count < Self.chunkByteCount {
      item(.timers, { state.timers.at(index).encode(into: &$0) }, to: &chunk)
      index += 1
    }
    return index >= state.timers.count
  }
}

/// The parts of a snapshot, in the order in which they stand.
enum SnapshotSection: UInt8, Comparable, Sendable {
  case header = 0
  case records
  case changes
  case sessions
  case leases
  case locks
  case claims
  case parts
  case bindings
  case oneShots
  case timers
  case end

  static func < (left: SnapshotSection, right: SnapshotSection) -> Bool {
    left.rawValue < right.rawValue
  }
}

/// The numbers of a state that are not in any table.
///
///     size  field
///     8     epoch, time, applied index, transcript, revision, oldest revision, first change's position,
///           newest token: each 8 bytes
///     8     each limit, in the order of ``StateLimits/numbers``
struct SnapshotHeader {
  var epoch: UInt64
  var time: UInt64
  var appliedIndex: UInt64
  var transcript: UInt64
  var revision: UInt64
  var oldest: UInt64
  var firstChange: UInt64
  var lastToken: UInt64
  var limits: StateLimits

  init(of state: ReplicatedState) {
    epoch = state.epoch
    time = state.time.rawValue
    appliedIndex = state.appliedIndex.rawValue
    transcript = state.transcript
    revision = state.keyspace.revision
    oldest = state.keyspace.oldest
    firstChange = state.keyspace.changes.first
    lastToken = state.locks.lastToken
    limits = state.limits
  }
}

extension SnapshotHeader: WireCodable {
  init(decoding input: inout Span<UInt8>) throws(WireError) {
    epoch = try input.read()
    time = try input.read()
    appliedIndex = try input.read()
    transcript = try input.read()
    revision = try input.read()
    oldest = try input.read()
    firstChange = try input.read()
    lastToken = try input.read()
    limits = try StateLimits(decoding: &input)
  }

  func encode(into output: inout [UInt8]) {
    for number in [
      epoch, time, appliedIndex, transcript, revision, oldest, firstChange, lastToken,
    ] {
      output.append(littleEndian: number)
    }
    limits.encode(into: &output)
  }
}

extension StateLimits: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    self.init()
    for field in Self.counts {
      guard let count = Int(exactly: try input.read(UInt64.self)) else { throw .invalid("limit") }
      self[keyPath: field] = count
    }
    for field in Self.numbers { self[keyPath: field] = try input.read() }
  }

  package func encode(into output: inout [UInt8]) {
    for field in Self.counts { output.append(littleEndian: UInt64(self[keyPath: field])) }
    for field in Self.numbers { output.append(littleEndian: self[keyPath: field]) }
  }

  private static var counts: [WritableKeyPath<StateLimits, Int>] {
    [
      \.storedReplyBytes, \.sessions, \.leases, \.claims, \.bindings, \.oneShots, \.replyBytes,
      \.oneShotBytes, \.allStoredReplyBytes,
      \.operations, \.clearingSteps, \.pageKeys, \.pageBytes, \.listed,
    ]
  }

  private static var numbers: [WritableKeyPath<StateLimits, UInt64>] {
    [\.requestWindow, \.oneShotAhead, \.historyRevisions, \.historyAge, \.historyBytes]
  }
}
