import RoostRaft
import RoostWire

/// What one write of the log says about itself, in its first cell and again in its last.
///
///     offset  size  field
///     0       8     number            of the group, from 1, one more than that of the group before
///     8       8     durable through   the last group that was surely on the disk when this was written
///     16      4     record bytes
///     20      4     record count
///     24      56    standing          after this group: term, vote, last term, last index,
///                                     promised term, promised index, commit hint
///
/// A group is one header cell, whose content is this and the first bytes of records; body cells with
/// the rest; and a trailer cell with this alone. It starts at a multiple of the unit, and the next one
/// starts at the next multiple of the unit after it.
struct GroupHeader: Equatable {
  static let byteCount = 24 + Standing.byteCount
  /// The bytes of records in the header cell.
  static let firstByteCount = Cell.contentByteCount - byteCount

  var number: UInt64
  var durableThrough: UInt64
  var recordByteCount: Int
  var recordCount: Int
  var standing: Standing

  /// How many cells a group with so many bytes of records has.
  static func cellCount(recordByteCount: Int) -> Int {
    let rest = max(0, recordByteCount - firstByteCount)
    return 2 + (rest + Cell.contentByteCount - 1) / Cell.contentByteCount
  }

  /// How many bytes of records fit into so many bytes of a segment.
  static func recordCapacity(of byteCount: Int) -> Int {
    let cells = byteCount / Cell.byteCount
    return cells < 2 ? -1 : firstByteCount + (cells - 2) * Cell.contentByteCount
  }

  var cellCount: Int { Self.cellCount(recordByteCount: recordByteCount) }
  var byteCount: Int { cellCount * Cell.byteCount }
}

extension GroupHeader: WireCodable {
  init(decoding input: inout Span<UInt8>) throws(WireError) {
    number = try input.read(UInt64.self)
    durableThrough = try input.read(UInt64.self)
    recordByteCount = Int(try input.read(UInt32.self))
    recordCount = Int(try input.read(UInt32.self))
    standing = try Standing(decoding: &input)
    guard durableThrough < number else { throw .invalid("order of groups") }
  }

  func encode(into output: inout [UInt8]) {
    output.append(littleEndian: number)
    output.append(littleEndian: durableThrough)
    output.append(littleEndian: UInt32(recordByteCount))
    output.append(littleEndian: UInt32(recordCount))
    standing.encode(into: &output)
  }
}
