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
    for cell in 0...last {
      Cell.mark(
        cell == 0 ? .header : cell == last ? .trailer : .body,
        of: header.number,
        in: buffer,
        at: start + cell * Cell.byteCount
      )
    }
    let firstCell = segmentOffset / Cell.byteCount
    Cell.seal(firstCell, count: header.cellCount, in: buffer, at: start, place: place)
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
