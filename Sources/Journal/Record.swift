package import RoostRaft
package import RoostWire

/// One step of the log as a file tells it.
///
///     offset  size  field
///     0       1     kind     1 entry, 2 truncate, 3 reset
///     1       4     length   of the body
///     5       ...   body     1: the entry; 2: the first index removed; 3: the place the log starts after
package enum Record: Equatable, Sendable {
  /// The next entry of the log.
  case entry(Entry)
  /// The entries from this one on are gone.
  case truncate(from: LogIndex)
  /// All entries are gone, and the log goes on after this place: a snapshot holds what was before.
  case reset(after: LogPosition)

  static let overhead = 5
  static let entryKind: UInt8 = 1
  private static let bodyLimit = Entry.overhead + Entry.payloadLimit

  /// The length of the encoding.
  var byteCount: Int { Self.overhead + bodyByteCount }

  private var bodyByteCount: Int {
    switch self {
    case .entry(let entry): Entry.overhead + entry.payload.count
    case .truncate: 8
    case .reset: 16
    }
  }

  private var kind: UInt8 {
    switch self {
    case .entry: Self.entryKind
    case .truncate: 2
    case .reset: 3
    }
  }
}

extension Record: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    let kind = try input.read(UInt8.self)
    let byteCount = Int(try input.read(UInt32.self))
    guard byteCount <= Self.bodyLimit else {
      throw .tooLarge(what: "record", byteCount: UInt64(byteCount), limit: Self.bodyLimit)
    }
    guard byteCount <= input.count else {
      throw .truncated(needed: byteCount, available: input.count)
    }
    let rest = input.count - byteCount
    switch kind {
    case 1: self = .entry(try Entry(decoding: &input))
    case 2: self = .truncate(from: try LogIndex(decoding: &input))
    case 3: self = .reset(after: try LogPosition(decoding: &input))
    default: throw .invalid("record kind")
    }
    guard input.count == rest else { throw .invalid("record length") }
  }

  package func encode(into output: inout [UInt8]) {
    output.append(kind)
    output.append(littleEndian: UInt32(bodyByteCount))
    switch self {
    case .entry(let entry): entry.encode(into: &output)
    case .truncate(let index): index.encode(into: &output)
    case .reset(let place): place.encode(into: &output)
    }
  }
}
