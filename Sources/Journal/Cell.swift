import RoostWire

/// The 512 bytes that a disk writes or does not write, but never in part: one sector of a segment.
///
///     offset  size  field
///     0       4     checksum   CRC-32C of bytes 4..<512, xor the cell's place
///     4       4     mark       bits 0-1: 1 header, 2 body, 3 trailer; bits 2-31: the group's number
///     8       504   content
///
/// The place is made of cluster, node, segment number and the cell's number in the segment, so that a
/// valid cell of another file, or of another position, is not valid here. A segment is zero before it
/// is used and no cell is ever written twice, hence three states: *zero*, never written; *valid*; and
/// *damaged*, which a power cut does not cause.
enum Cell {
  static let byteCount = 512
  static let contentOffset = 8
  static let contentByteCount = byteCount - contentOffset

  enum Kind: UInt32 {
    case header = 1
    case body = 2
    case trailer = 3
  }

  enum State: Equatable {
    case zero
    /// All zero but for a bit or two: a cell that was never written and has rotted.
    case rotten
    case valid(Kind, group: UInt32)
    case damaged
  }

  /// The part of a group's number that each of its cells repeats.
  static func label(of group: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: group) & 0x3FFF_FFFF
  }

  /// The state of a cell, which fills `bytes`.
  static func state(of bytes: borrowing Span<UInt8>, at cell: Int, in place: SegmentPlace) -> State
  {
    if bytes.isZero { return .zero }
    var input = bytes.extracting(0..<bytes.count)
    guard bytes.count == byteCount, let stored = try? input.read(UInt32.self),
      stored == CRC32C(of: input).value ^ place.mask(of: cell),
      let mark = try? input.read(UInt32.self), let kind = Kind(rawValue: mark & 3)
    else { return setBits(in: bytes, upTo: 3) < 3 ? .rotten : .damaged }
    return .valid(kind, group: mark >> 2)
  }

  /// Says what a cell is whose content is in the buffer already.
  static func mark(_ kind: Kind, of group: UInt64, in buffer: DiskBuffer, at offset: Int) {
    buffer.put(littleEndian: kind.rawValue | label(of: group) << 2, at: offset + 4)
  }

  /// Seals `count` marked cells that follow each other in the buffer, of which the first is `cell`.
  static func seal(
    _ cell: Int,
    count: Int,
    in buffer: DiskBuffer,
    at offset: Int,
    place: SegmentPlace
  ) {
    var done = 0
    while count - done >= 4 {
      let start = offset + done * byteCount
      let values = buffer.withSpan { bytes in
        CRC32C.four(
          of: bytes.extracting(start + 4..<start + 4 * byteCount),
          stride: byteCount,
          byteCount: byteCount - 4
        )
      }
      let first = cell + done
      put(values.0, of: first, in: buffer, at: start, place)
      put(values.1, of: first + 1, in: buffer, at: start + byteCount, place)
      put(values.2, of: first + 2, in: buffer, at: start + 2 * byteCount, place)
      put(values.3, of: first + 3, in: buffer, at: start + 3 * byteCount, place)
      done += 4
    }
    while done < count {
      let start = offset + done * byteCount
      let value = buffer.checksum(of: start + 4..<start + byteCount).value
      put(value, of: cell + done, in: buffer, at: start, place)
      done += 1
    }
  }

  private static func put(
    _ checksum: UInt32,
    of cell: Int,
    in buffer: DiskBuffer,
    at offset: Int,
    _ place: SegmentPlace
  ) {
    buffer.put(littleEndian: checksum ^ place.mask(of: cell), at: offset)
  }

  /// How many bits are 1, counted as far as `limit`.
  static func setBits(in bytes: borrowing Span<UInt8>, upTo limit: Int) -> Int {
    var count = 0
    for index in bytes.indices where bytes[index] != 0 {
      count += bytes[index].nonzeroBitCount
      if count >= limit { break }
    }
    return count
  }
}

/// Which segment of which node of which cluster, as one number that its cells' checksums contain.
struct SegmentPlace: Equatable {
  private let seed: UInt64

  init(_ identity: JournalIdentity, segment: UInt64) {
    var seed: UInt64 = 0
    for part in [identity.cluster.rawValue, identity.node.rawValue, segment] {
      var mixer = SplitMix64(seed: seed ^ part)
      seed = mixer.next()
    }
    self.seed = seed
  }

  /// What the checksum of a cell is combined with.
  func mask(of cell: Int) -> UInt32 {
    var mixer = SplitMix64(seed: seed ^ UInt64(cell))
    return UInt32(truncatingIfNeeded: mixer.next())
  }
}
