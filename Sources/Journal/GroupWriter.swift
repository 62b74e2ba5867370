import RoostRaft
import RoostWire

/// Lays a group out in the cells of a buffer.
struct GroupWriter {
  private let buffer: DiskBuffer
  private let place: SegmentPlace
  /// Where the group starts in the buffer, and in the segment.
  private let start: Int
  private let segmentOffset: Int

  private var position: Int
  private var leftInCell: Int

  /// A writer of a group at `start` in a buffer, and at `segmentOffset` in its segment.
  init(buffer: DiskBuffer, start: Int, segmentOffset: Int, place: SegmentPlace) {
    self.buffer = buffer
    self.start = start
    self.segmentOffset = segmentOffset
    self.place = place
    position = start + Cell.contentOffset + GroupHeader.byteCount
    leftInCell = GroupHeader.firstByteCount
  }

  /// Fills in the whole group, up to the end of the buffer.
  mutating func write(
    _ header: GroupHeader,
    _ items: borrowing [WaitingWrites.Item],
    _ range: Range<Int>
  ) {
    for index in range {
      guard case .record(let record) = items[index] else { continue }
      put(record)
    }
    seal(header)
  }

  /// Fills in a group whose records are encoded already.
  mutating func write(_ header: GroupHeader, records: borrowing Span<UInt8>) {
    put(records)
    seal(header)
  }

  private func seal(_ header: GroupHeader) {
    buffer.clear(from: position)
    let copy = header.encoded()
    buffer.put(copy.span, at: start + Cell.contentOffset)
    let last = header.cellCount - 1
    buffer.put(copy.span, at: start + last * Cell.byteCount + Cell.contentOffset)
    let firstCell = segmentOffset / Cell.byteCount
    for cell in 0...last {
      Cell.seal(
        firstCell + cell,
        as: cell == 0 ? .header : cell == last ? .trailer : .body,
        of: header.number,
        in: buffer,
        at: start + cell * Cell.byteCount,
        place: place
      )
    }
  }

  private mutating func put(_ record: Record) {
    guard case .entry(let entry) = record else { return put(record.encoded().span) }
    if leftInCell >= Record.overhead + Entry.overhead {
      putHead(of: entry)
    } else {
      var head: [UInt8] = []
      record.encodePrefix(into: &head)
      put(head.span)
    }
    put(entry.payload.span)
  }

  /// The bytes before an entry's payload, in place: entries are many, and arrays for them cost.
  private mutating func putHead(of entry: Entry) {
    let byteCount = entry.payload.count
    buffer.put(littleEndian: Record.entryKind, at: position)
    buffer.put(littleEndian: UInt32(Entry.overhead + byteCount), at: position + 1)
    buffer.put(littleEndian: entry.term.rawValue, at: position + 5)
    buffer.put(littleEndian: entry.index.rawValue, at: position + 13)
    buffer.put(littleEndian: entry.time.rawValue, at: position + 21)
    buffer.put(littleEndian: entry.kind.rawValue, at: position + 29)
    buffer.put(littleEndian: UInt32(byteCount), at: position + 30)
    position += Record.overhead + Entry.overhead
    leftInCell -= Record.overhead + Entry.overhead
  }

  private mutating func put(_ bytes: borrowing Span<UInt8>) {
    var done = 0
    while done < bytes.count {
      if leftInCell == 0 {
        position += Cell.contentOffset
        leftInCell = Cell.contentByteCount
      }
      let count = min(leftInCell, bytes.count - done)
      buffer.put(bytes.extracting(done..<done + count), at: position)
      position += count
      leftInCell -= count
      done += count
    }
  }
}
