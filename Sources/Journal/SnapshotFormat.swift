package import RoostWire

/// A snapshot as bytes: of its file, and on the way from one node to another.
///
///     offset  size  field
///     0       8     magic      "ROOSTSNP"
///     8       4     version    1
///     12      8     cluster
///     20      4     length     of the label
///     24      ...   label      state hash 8, last term, last index, time, membership
///     ...     4     checksum   CRC-32C of all before it
///
/// Chunks follow, numbered from 0:
///
///     0       4     length     1 to 262 144; 0 ends the chunks
///     4       4     checksum   CRC-32C of the number (8 bytes) and the bytes
///     8       ...   bytes
///
/// The chunk of length 0 has only the length. The footer is the end of the file:
///
///     0       8     chunk count
///     8       8     byte count   of all chunks together
///     16      4     whole        CRC-32C of everything before the footer
///     20      4     checksum     CRC-32C of the footer's first 20 bytes
enum SnapshotFormat {
  static let magic: UInt64 = 0x504E_5354_534F_4F52
  static let version: UInt32 = 1
  static let chunkLimit = 262_144
  static let chunkOverhead = 8
  static let footerByteCount = 24
  static let labelLimit = 1 << 18
  /// The bytes before the label.
  static let prefixByteCount = 24

  static func header(_ label: SnapshotLabel, of cluster: ClusterID) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(littleEndian: magic)
    bytes.append(littleEndian: version)
    cluster.encode(into: &bytes)
    bytes.append(prefixed: label.encoded())
    bytes.append(littleEndian: CRC32C(of: bytes.span).value)
    return bytes
  }

  static func checksum(ofChunk number: UInt64, _ bytes: borrowing Span<UInt8>) -> UInt32 {
    var checksum = CRC32C()
    var prefix: [UInt8] = []
    prefix.append(littleEndian: number)
    checksum.update(with: prefix.span)
    checksum.update(with: bytes)
    return checksum.value
  }
}

/// Makes a snapshot's bytes out of pieces of state.
struct SnapshotEncoder {
  /// The length of all chunks but the last.
  private let chunkByteCount: Int
  private var open: [UInt8] = []
  private var chunkCount: UInt64 = 0
  private var contentByteCount: UInt64 = 0
  private var whole = CRC32C()
  /// The bytes that were given out.
  private(set) var byteCount = 0

  init(chunkByteCount: Int = SnapshotFormat.chunkLimit) { self.chunkByteCount = chunkByteCount }

  /// The bytes before the first piece.
  mutating func start(_ label: SnapshotLabel, of cluster: ClusterID) -> [UInt8] {
    give(SnapshotFormat.header(label, of: cluster))
  }

  /// Takes a piece; answers the chunks that are full with it.
  mutating func add(_ piece: [UInt8]) -> [UInt8] {
    open += piece
    var bytes: [UInt8] = []
    var done = 0
    while open.count - done >= chunkByteCount {
      appendChunk(done..<done + chunkByteCount, to: &bytes)
      done += chunkByteCount
    }
    open.removeFirst(done)
    return give(bytes)
  }

  /// The bytes after the last piece.
  mutating func end() -> [UInt8] {
    var bytes: [UInt8] = []
    if !open.isEmpty { appendChunk(0..<open.count, to: &bytes) }
    bytes.append(littleEndian: UInt32(0))
    whole.update(with: bytes.span)
    var footer: [UInt8] = []
    footer.append(littleEndian: chunkCount)
    footer.append(littleEndian: contentByteCount)
    footer.append(littleEndian: whole.value)
    footer.append(littleEndian: CRC32C(of: footer.span).value)
    byteCount += bytes.count + footer.count
    return bytes + footer
  }

  private mutating func appendChunk(_ range: Range<Int>, to bytes: inout [UInt8]) {
    let open = self.open
    let content = open.span.extracting(range)
    bytes.append(littleEndian: UInt32(range.count))
    bytes.append(littleEndian: SnapshotFormat.checksum(ofChunk: chunkCount, content))
    bytes.append(contentsOf: content)
    chunkCount += 1
    contentByteCount += UInt64(range.count)
  }

  private mutating func give(_ bytes: [UInt8]) -> [UInt8] {
    whole.update(with: bytes.span)
    byteCount += bytes.count
    return bytes
  }
}

/// Takes a snapshot's bytes in any portions, and gives back the pieces of state, each of them checked.
package struct SnapshotDecoder: Sendable {
  private enum Stage {
    case header
    case chunks
    case footer
    case done
  }

  private let cluster: ClusterID
  private var stage = Stage.header
  private var open: [UInt8] = []
  private var chunkCount: UInt64 = 0
  private var contentByteCount: UInt64 = 0
  private var whole = CRC32C()
  /// What the snapshot is of, as soon as its header was taken.
  package private(set) var label: SnapshotLabel?

  /// A decoder that refuses snapshots of other clusters.
  package init(of cluster: ClusterID) { self.cluster = cluster }

  /// Whether everything was taken, and was as it should be.
  package var isComplete: Bool { stage == .done }

  /// Takes the next bytes; answers the chunks that are whole with them.
  package mutating func take(_ bytes: [UInt8]) throws(WireError) -> [[UInt8]] {
    open += bytes
    var chunks: [[UInt8]] = []
    var done = 0
    while let byteCount = try takeItem(from: done, into: &chunks) { done += byteCount }
    open.removeFirst(done)
    if stage == .done, !open.isEmpty { throw .trailing(byteCount: open.count) }
    return chunks
  }

  /// The checksum of everything that was taken by ``takeStart(of:)``.
  var checksum: CRC32C { whole }

  /// Takes the header or the chunk that stands at the start of these bytes, in full, and what was taken before is complete too.
  ///
  /// - Returns: Its length; nil if it is not there in full, or if the chunks are at their end.
  mutating func takeStart(of bytes: [UInt8]) throws(WireError) -> Int? {
    if case .chunks = stage, bytes.prefix(4).allSatisfy({ $0 == 0 }) { return nil }
    open = bytes
    var chunks: [[UInt8]] = []
    defer { open = [] }
    return try takeItem(from: 0, into: &chunks)
  }

  /// Takes a header, a chunk or a footer that is there in full; answers its length.
  private mutating func takeItem(
    from start: Int,
    into chunks: inout [[UInt8]]
  ) throws(WireError) -> Int? {
    let available = open.count - start
    switch stage {
    case .header: return try takeHeader(from: start, available)
    case .chunks: return try takeChunk(from: start, available, into: &chunks)
    case .footer: return try takeFooter(from: start, available)
    case .done: return nil
    }
  }

  private mutating func takeHeader(from start: Int, _ available: Int) throws(WireError) -> Int? {
    guard available >= SnapshotFormat.prefixByteCount else { return nil }
    let open = self.open
    var input = open.span.extracting(droppingFirst: start)
    let all = input.extracting(0..<input.count)
    guard try input.read(UInt64.self) == SnapshotFormat.magic else { throw .invalid("magic") }
    guard try input.read(UInt32.self) == SnapshotFormat.version else { throw .invalid("version") }
    let owner = try ClusterID(decoding: &input)
    let labelByteCount = Int(try input.read(UInt32.self))
    let limit = SnapshotFormat.labelLimit
    guard labelByteCount <= limit else {
      throw .tooLarge(what: "snapshot label", byteCount: UInt64(labelByteCount), limit: limit)
    }
    let byteCount = SnapshotFormat.prefixByteCount + labelByteCount + 4
    guard available >= byteCount else { return nil }
    let labelBytes = try input.readBytes(labelByteCount)
    guard try input.read(UInt32.self) == CRC32C(of: all.extracting(first: byteCount - 4)).value
    else { throw .checksum }
    guard owner == cluster else { throw .invalid("cluster") }
    label = try SnapshotLabel(decodingAll: labelBytes)
    whole.update(with: all.extracting(first: byteCount))
    stage = .chunks
    return byteCount
  }

  private mutating func takeChunk(
    from start: Int,
    _ available: Int,
    into chunks: inout [[UInt8]]
  ) throws(WireError) -> Int? {
    guard available >= 4 else { return nil }
    let open = self.open
    var input = open.span.extracting(droppingFirst: start)
    let all = input.extracting(0..<input.count)
    let length = Int(try input.read(UInt32.self))
    guard length <= SnapshotFormat.chunkLimit else {
      throw .tooLarge(
        what: "chunk",
        byteCount: UInt64(length),
        limit: SnapshotFormat.chunkLimit
      )
    }
    if length == 0 {
      whole.update(with: all.extracting(first: 4))
      stage = .footer
      return 4
    }
    let byteCount = SnapshotFormat.chunkOverhead + length
    guard available >= byteCount else { return nil }
    let checksum = try input.read(UInt32.self)
    let content = input.extracting(first: length)
    guard checksum == SnapshotFormat.checksum(ofChunk: chunkCount, content) else {
      throw .checksum
    }
    whole.update(with: all.extracting(first: byteCount))
    chunkCount += 1
    contentByteCount += UInt64(length)
    chunks.append(content.copied())
    return byteCount
  }

  private mutating func takeFooter(from start: Int, _ available: Int) throws(WireError) -> Int? {
    guard available >= SnapshotFormat.footerByteCount else { return nil }
    let open = self.open
    var input = open.span.extracting(droppingFirst: start)
    let covered = input.extracting(first: SnapshotFormat.footerByteCount - 4)
    let counts = (try input.read(UInt64.self), try input.read(UInt64.self))
    let wholeChecksum = try input.read(UInt32.self)
    guard try input.read(UInt32.self) == CRC32C(of: covered).value,
      wholeChecksum == whole.value
    else { throw .checksum }
    guard counts == (chunkCount, contentByteCount) else { throw .invalid("chunk count") }
    stage = .done
    return SnapshotFormat.footerByteCount
  }
}
