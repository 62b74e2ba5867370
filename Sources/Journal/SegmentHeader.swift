import RoostWire

/// The first 4 096 bytes of a segment file.
///
///     offset  size  field
///     0       8     magic          "ROOSTLOG"
///     8       4     version        1, or 2 if it is packed
///     12      4     unit           groups start at multiples of it: 512, 1 024, 2 048 or 4 096
///     16      8     cluster
///     24      8     node
///     32      8     segment        the number in the file's name; numbers are never used again
///     40      8     byte count     of the file
///     48      8     first group    the number of the first group
///     56      56    standing       before the first group
///     112     8     void segment   0, or: what is written from there ...
///     120     8     void offset    ... up to this segment does not count
///     128     8     last group     the number of the last group, if it is packed; else 0
///     136     8     byte count     of the file before it was packed, if it is; else 0
///     144     364   reserved       0
///     508     4     checksum       CRC-32C of bytes 0..<508
///
/// The same 512 bytes stand twice, at 0 and at 2 048. They are written together with the segment's first
/// group, so a segment that is all zero was prepared and not yet used. Where the log before could not
/// be continued (a torn or damaged end), the next segment's *void* says where it was cut; the old bytes
/// stay as they are.
///
/// A *packed* segment holds what a segment held whose groups were small, in fewer and larger groups
/// (``SegmentPacking``). It has its name only once all of it is on the disk.
package struct SegmentHeader: Equatable, Sendable {
  static let byteCount = 512
  static let secondCopy = 2048
  /// Where the first group starts.
  static let areaByteCount = 4096
  static let version: UInt32 = 1
  static let packedVersion: UInt32 = 2
  private static let magic: UInt64 = 0x474F_4C54_534F_4F52

  var unit: Int
  var identity: JournalIdentity
  var number: UInt64
  var segmentByteCount: Int
  var firstGroup: UInt64
  var standing: Standing
  var void: LogOffset?
  var packed: Packed?

  /// What a packed segment says beyond others.
  struct Packed: Equatable {
    /// The number of the last group.
    var lastGroup: UInt64
    /// The length of the file before, which the segments behind it still have.
    var unpackedByteCount: Int
  }

  /// The length that the next segment was made with.
  var unpackedByteCount: Int { packed?.unpackedByteCount ?? segmentByteCount }
}

/// A position in the files of the log.
package struct LogOffset: Hashable, Comparable, Sendable {
  package let segment: UInt64
  package let offset: Int

  package init(segment: UInt64, offset: Int) {
    self.segment = segment
    self.offset = offset
  }

  package static func < (left: LogOffset, right: LogOffset) -> Bool {
    (left.segment, left.offset) < (right.segment, right.offset)
  }
}

extension SegmentHeader {
  /// Why 512 bytes are no header that counts.
  package enum Refusal: Error, Equatable {
    case damaged
    case newerFormat(UInt32)
  }

  package init(decoding bytes: borrowing Span<UInt8>) throws(Refusal) {
    do throws(WireError) {
      var input = bytes.extracting(0..<min(bytes.count, Self.byteCount))
      guard input.count == Self.byteCount else { throw .invalid("length") }
      var tail = input.extracting(droppingFirst: Self.byteCount - 4)
      let checksum = CRC32C(of: input.extracting(first: Self.byteCount - 4)).value
      guard try input.read(UInt64.self) == Self.magic, try tail.read(UInt32.self) == checksum
      else { throw .checksum }
      let version = try input.read(UInt32.self)
      let isPacked = version == Self.packedVersion
      if version != Self.version, !isPacked {
        throw .tooLarge(what: "version", byteCount: UInt64(version), limit: Int(Self.version))
      }
      self = try Self(fields: &input, isPacked: isPacked)
    } catch {
      if case .tooLarge(_, let version, _) = error {
        throw .newerFormat(UInt32(truncatingIfNeeded: version))
      }
      throw .damaged
    }
  }

  private init(fields input: inout Span<UInt8>, isPacked: Bool) throws(WireError) {
    unit = Int(try input.read(UInt32.self))
    let cluster = try ClusterID(decoding: &input)
    identity = JournalIdentity(cluster: cluster, node: try NodeID(decoding: &input))
    number = try input.read(UInt64.self)
    let byteCount = try input.read(UInt64.self)
    firstGroup = try input.read(UInt64.self)
    standing = try Standing(decoding: &input)
    let voidSegment = try input.read(UInt64.self)
    let voidOffset = try input.read(UInt64.self)
    let last = try input.read(UInt64.self)
    let unpacked = try input.read(UInt64.self)
    guard JournalSettings.units.contains(unit), number > 0, firstGroup > 0,
      byteCount <= UInt64(JournalSettings.segmentLimit), voidSegment < number,
      voidOffset <= UInt64(JournalSettings.segmentLimit), !isPacked || last >= firstGroup,
      unpacked <= UInt64(JournalSettings.segmentLimit)
    else { throw .invalid("segment header") }
    segmentByteCount = Int(byteCount)
    packed = isPacked ? Packed(lastGroup: last, unpackedByteCount: Int(unpacked)) : nil
    void = voidSegment == 0 ? nil : LogOffset(segment: voidSegment, offset: Int(voidOffset))
  }

  /// The whole area in front of the first group.
  var areaBytes: [UInt8] {
    var copy: [UInt8] = []
    copy.append(littleEndian: Self.magic)
    copy.append(littleEndian: packed == nil ? Self.version : Self.packedVersion)
    copy.append(littleEndian: UInt32(unit))
    identity.cluster.encode(into: &copy)
    identity.node.encode(into: &copy)
    copy.append(littleEndian: number)
    copy.append(littleEndian: UInt64(segmentByteCount))
    copy.append(littleEndian: firstGroup)
    standing.encode(into: &copy)
    copy.append(littleEndian: void?.segment ?? 0)
    copy.append(littleEndian: UInt64(void?.offset ?? 0))
    copy.append(littleEndian: packed?.lastGroup ?? 0)
    copy.append(littleEndian: UInt64(packed?.unpackedByteCount ?? 0))
    copy.append(contentsOf: [UInt8](repeating: 0, count: Self.byteCount - 4 - copy.count))
    copy.append(littleEndian: CRC32C(of: copy.span).value)
    let gap = [UInt8](repeating: 0, count: Self.secondCopy - Self.byteCount)
    return copy + gap + copy + gap
  }
}
