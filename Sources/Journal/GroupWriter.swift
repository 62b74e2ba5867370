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

  init(buffer: DiskBuffer, start: Int, segmentOffset: Int, place: SegmentPlace) {
    self.buffer = buffer
    self.start = start
    self.segmentOffset = segmentOffset
    self.place = place
    position = start + Cell.contentOffset + GroupHeader.byteCount
    leftInCell = GroupHeader.firstByteCount
  }

  /// Fills in the whole group; its range of the buffer is zero before.
  mutating func write(_ header: GroupHeader, _ records: borrowing [Record]) {
    var prefix: [UInt8] = []
    prefix.reserveCapacity(Record.overhead + Entry.overhead)
    for index in records.indices {
      prefix.removeAll(keepingCapacity: true)
      records[index].encodePrefix(into: &prefix)
      put(prefix.span)
      if case .entry(let entry) = records[index] { put(entry.payload.span) }
    }
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
