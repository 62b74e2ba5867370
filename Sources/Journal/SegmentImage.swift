import RoostRaft
import RoostWire

/// A segment file in memory, for reading.
struct SegmentImage {
  let number: UInt64
  let file: String
  let bytes: [UInt8]
  let place: SegmentPlace
  /// Where in the file the bytes begin.
  var start = 0
  /// The last group, if the segment is packed.
  var lastGroup: UInt64?

  /// Where in the file the bytes end.
  var end: Int { start + bytes.count }

  /// What stands where a group is expected.
  enum GroupScan {
    case complete(GroupHeader, records: [UInt8], end: Int)
    /// Nothing, or a part of what a power cut leaves of a write: the rest was never written.
    case incomplete(offset: Int)
    case damaged(Damage)
  }

  /// The state of the cell at a byte offset; beyond the end of the file nothing was ever written.
  func state(at offset: Int) -> Cell.State {
    guard offset >= start, offset + Cell.byteCount <= end else { return .zero }
    let cell = bytes.span.extracting(offset - start..<offset - start + Cell.byteCount)
    return Cell.state(of: cell, at: offset / Cell.byteCount, in: place)
  }

  /// The group header in the content of a header or trailer cell.
  func header(at offset: Int) -> GroupHeader? {
    let content = offset - start + Cell.contentOffset
    guard content >= 0, content + GroupHeader.byteCount <= bytes.count else { return nil }
    var input = bytes.span.extracting(content..<content + GroupHeader.byteCount)
    return try? GroupHeader(decoding: &input)
  }

  /// Reads the group of a number that may start at `offset`; if the segment is packed, the group that took
  /// the place of it and of those after it.
  func group(_ number: UInt64, at offset: Int) -> GroupScan {
    if let lastGroup, number <= lastGroup { return packedGroup(number, at: offset) }
    switch state(at: offset) {
    case .zero, .rotten: return .incomplete(offset: offset)
    case .valid(.header, Cell.label(of: number)): break
    case .valid: return .damaged(damage(offset, "a part of another group than \(number)"))
    case .damaged: return .damaged(damage(offset, "the checksum does not match"))
    }
    guard let header = header(at: offset), header.number == number,
      header.recordByteCount <= bytes.count, header.byteCount <= end - offset
    else { return .damaged(damage(offset, "no header of group \(number)")) }
    return body(of: header, at: offset)
  }

  /// All of a packed segment was there before the segment had its name, so nothing may be missing.
  private func packedGroup(_ number: UInt64, at offset: Int) -> GroupScan {
    guard case .valid(.header, let label) = state(at: offset), let header = header(at: offset),
      header.durableThrough == number - 1, header.number <= lastGroup ?? 0,
      label == Cell.label(of: header.number), header.recordByteCount <= bytes.count,
      header.byteCount <= end - offset
    else { return .damaged(damage(offset, "no packed group from \(number) on")) }
    let scan = body(of: header, at: offset)
    guard case .incomplete(let missing) = scan else { return scan }
    return .damaged(damage(missing, "a part of a packed group is missing"))
  }

  private func body(of header: GroupHeader, at offset: Int) -> GroupScan {
    var records: [UInt8] = []
    records.reserveCapacity(header.cellCount * Cell.contentByteCount)
    var missing: Int?
    let label = Cell.label(of: header.number)
    for cell in 0..<header.cellCount {
      let position = offset + cell * Cell.byteCount
      let kind: Cell.Kind = cell == 0 ? .header : cell == header.cellCount - 1 ? .trailer : .body
      switch state(at: position) {
      case .valid(kind, label): break
      case .zero, .rotten: missing = missing ?? position
      case .valid: return .damaged(damage(position, "a part of another group"))
      case .damaged: return .damaged(damage(position, "the checksum does not match"))
      }
      guard missing == nil, kind != .trailer else { continue }
      let skipped = Cell.contentOffset + (cell == 0 ? GroupHeader.byteCount : 0)
      records.append(
        contentsOf: bytes.span.extracting(
          position - start + skipped..<position - start + Cell.byteCount
        )
      )
    }
    if let missing { return .incomplete(offset: missing) }
    guard self.header(at: offset + (header.cellCount - 1) * Cell.byteCount) == header else {
      return .damaged(damage(offset, "first and last cell of the group differ"))
    }
    records.removeLast(records.count - header.recordByteCount)
    return .complete(header, records: records, end: offset + header.byteCount)
  }

  /// The positions from `start` on of cells that are not zero, in order.
  func writtenCells(from start: Int) -> [Int] {
    var written: [Int] = []
    var offset = start
    while offset + Cell.byteCount <= bytes.count {
      let stride = min(65536, bytes.count - offset) / Cell.byteCount * Cell.byteCount
      if !bytes.span.extracting(offset..<offset + stride).isZero {
        for cell in Swift.stride(from: offset, to: offset + stride, by: Cell.byteCount)
        where !bytes.span.extracting(cell..<cell + Cell.byteCount).isZero {
          written.append(cell)
        }
      }
      offset += stride
    }
    return written
  }

  func damage(_ offset: Int, _ reason: String) -> Damage {
    Damage(file: file, offset: offset, reason: reason)
  }
}

extension GroupHeader {
  /// Decodes the records of a group that was read whole.
  func decode(_ bytes: [UInt8]) throws(WireError) -> [Record] {
    var input = bytes.span
    var records: [Record] = []
    records.reserveCapacity(min(recordCount, bytes.count / Record.overhead))
    for _ in 0..<recordCount { records.append(try Record(decoding: &input)) }
    try input.expectEnd()
    return records
  }
}
