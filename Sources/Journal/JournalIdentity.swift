import RoostRaft
package import RoostWire

/// Whose directory it is, and in which format: the file `identity`.
///
///     offset  size  field
///     0       8     magic      "ROOSTDIR"
///     8       4     version    of the directory's format: 1
///     12      4     reserved   0
///     16      8     cluster
///     24      8     node
///     32      8     incarnation
///     40      4     checksum   CRC-32C of bytes 0..<40
///
/// The same 44 bytes stand twice, at 0 and at 512: one bit can't make a directory nobody's. It is the
/// last file that a first start makes: a directory without it was never used.
package struct JournalIdentity: Hashable, Sendable {
  /// The newest format that this program reads, and the one that it writes.
  package static let version: UInt32 = 1
  static let byteCount = 44
  static let secondCopy = 512
  private static let magic: UInt64 = 0x5249_4454_534F_4F52

  package let cluster: ClusterID
  package let node: NodeID

  package init(cluster: ClusterID, node: NodeID) {
    self.cluster = cluster
    self.node = node
  }

  /// The bytes of the file.
  func fileBytes(_ incarnation: Incarnation) -> [UInt8] {
    var copy: [UInt8] = []
    copy.append(littleEndian: Self.magic)
    copy.append(littleEndian: Self.version)
    copy.append(littleEndian: UInt32(0))
    cluster.encode(into: &copy)
    node.encode(into: &copy)
    incarnation.encode(into: &copy)
    copy.append(littleEndian: CRC32C(of: copy.span).value)
    return copy + [UInt8](repeating: 0, count: Self.secondCopy - copy.count) + copy
  }

  /// Reads the file; one good copy is enough.
  static func read(
    _ bytes: [UInt8]
  ) throws(JournalError) -> (identity: JournalIdentity, incarnation: Incarnation) {
    guard let copy = decode(bytes, at: 0) ?? decode(bytes, at: secondCopy), copy.version > 0
    else { throw .unreadable(file: FileName.identity) }
    guard copy.version <= version else { throw .newerFormat(found: copy.version) }
    return (copy.identity, copy.incarnation)
  }

  private struct Copy {
    var version: UInt32
    var identity: JournalIdentity
    var incarnation: Incarnation
  }

  private static func decode(_ bytes: [UInt8], at offset: Int) -> Copy? {
    guard bytes.count >= offset + byteCount else { return nil }
    var input = bytes.span.extracting(offset..<offset + byteCount)
    let covered = input.extracting(first: byteCount - 4)
    do throws(WireError) {
      guard try input.read(UInt64.self) == magic else { return nil }
      let version = try input.read(UInt32.self)
      _ = try input.read(UInt32.self)
      let identity = JournalIdentity(
        cluster: try ClusterID(decoding: &input),
        node: try NodeID(decoding: &input)
      )
      let incarnation = try Incarnation(decoding: &input)
      guard try input.read(UInt32.self) == CRC32C(of: covered).value else { return nil }
      return Copy(version: version, identity: identity, incarnation: incarnation)
    } catch {
      return nil
    }
  }
}

/// The names of the files in a data directory.
enum FileName {
  static let identity = "identity"
  private static let segmentSuffix = ".log"
  private static let snapshotSuffix = ".snapshot"
  private static let partialSuffix = ".partial"
  private static let newSuffix = ".new"

  static func segment(_ number: UInt64) -> String { hexadecimal(number) + segmentSuffix }

  /// The number of a segment, if the name is one's.
  static func segmentNumber(_ name: String) -> UInt64? {
    guard name.hasSuffix(segmentSuffix), name.utf8.count == 16 + segmentSuffix.utf8.count,
      let number = UInt64(name.dropLast(segmentSuffix.count), radix: 16), number > 0,
      segment(number) == name
    else { return nil }
    return number
  }

  static func snapshot(_ index: LogIndex) -> String {
    hexadecimal(index.rawValue) + snapshotSuffix
  }

  /// The index of a snapshot, if the name is one's.
  static func snapshotIndex(_ name: String) -> LogIndex? {
    guard name.hasSuffix(snapshotSuffix),
      let index = UInt64(name.dropLast(snapshotSuffix.count), radix: 16), index > 0,
      snapshot(LogIndex(index)) == name
    else { return nil }
    return LogIndex(index)
  }

  /// What a snapshot from another node is called while it comes in: by its index, its length and its checksum, so that it is
  /// never continued by the bytes of another.
  static func partial(_ index: LogIndex, byteCount: UInt64, checksum: UInt64) -> String {
    [index.rawValue, byteCount, checksum].map(hexadecimal).joined(separator: "-") + partialSuffix
  }

  static func partial(_ descriptor: SnapshotDescriptor) -> String {
    partial(
      descriptor.mark.index,
      byteCount: descriptor.byteCount,
      checksum: descriptor.checksum
    )
  }

  static func isPartial(_ name: String) -> Bool { name.hasSuffix(partialSuffix) }

  /// The index, the length and the checksum of a snapshot that came in part, if the name is one's.
  static func partialNumbers(_ name: String) -> (LogIndex, byteCount: UInt64, checksum: UInt64)? {
    guard isPartial(name) else { return nil }
    let numbers = name.dropLast(partialSuffix.count).split(separator: "-").map {
      UInt64($0, radix: 16)
    }
    guard numbers.count == 3, let index = numbers[0], let byteCount = numbers[1],
      let checksum = numbers[2], index > 0,
      partial(LogIndex(index), byteCount: byteCount, checksum: checksum) == name
    else { return nil }
    return (LogIndex(index), byteCount, checksum)
  }

  /// What a file is called while it is made.
  static func new(_ name: String) -> String { name + newSuffix }

  static func isNew(_ name: String) -> Bool { name.hasSuffix(newSuffix) }

  private static func hexadecimal(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
  }
}
