import RoostWire

/// Writes a full segment of small groups again, with many of them in each group.
///
/// A write of the log takes whole blocks, so a log of single small entries is mostly padding, and takes
/// long to read when the node starts. Once a segment is full and durable it never changes; what it says
/// is then written aside in a few large groups, synced, read back, and renamed over it. Until that
/// instant the old file stands untouched: there is no moment at which anything acknowledged exists only
/// in part.
///
/// A packed group takes the place of those after its `durableThrough` through its `number`. A group
/// that takes something back, or begins the log anew, stays alone, because what the standing was
/// before it is lost otherwise.
struct SegmentPacking: DiskWork {
  private enum Stage {
    case groups
    case ending([DiskOperation])
  }

  /// The most bytes of records in one group, unless there was a larger one.
  private static let groupByteLimit = 1 << 18
  /// How much is read at a time, at least.
  private static let portion = 1 << 20
  /// How much is written at a time, at least, so that no step takes long.
  private static let writeByteCount = 1 << 18

  let number: UInt64
  private let identity: JournalIdentity
  private let lastGroup: UInt64
  private let settings: JournalSettings
  private var header: SegmentHeader?
  private var stage = Stage.groups

  /// What of the old file was read and is not packed yet.
  private var window: SegmentImage
  private var sourceOffset = SegmentHeader.areaByteCount

  /// The group that is being put together, and what of it there is.
  private var open: GroupHeader?
  private var records: [UInt8] = []
  private var nextGroup: UInt64 = 0

  /// What is to be written next, and where.
  private var output: [UInt8] = []
  private var outputOffset = SegmentHeader.areaByteCount
  private var checksum = CRC32C()
  /// Whether all went well.
  private(set) var isDone = false

  /// Packs a segment whose last group, and the one after it, are durable.
  init(
    _ number: UInt64,
    through lastGroup: UInt64,
    of identity: JournalIdentity,
    settings: JournalSettings
  ) {
    self.number = number
    self.identity = identity
    self.lastGroup = lastGroup
    self.settings = settings
    window = SegmentImage(
      number: number,
      file: FileName.segment(number),
      bytes: [],
      place: SegmentPlace(identity, segment: number)
    )
  }

  private var name: String { FileName.segment(number) }
  private var newName: String { FileName.new(name) }

  mutating func next(reading files: any ReadableFiles) -> DiskOperation? {
    switch stage {
    case .groups: return pack(reading: files)
    case .ending(let operations):
      guard let first = operations.first else { return nil }
      stage = .ending(Array(operations.dropFirst()))
      return first
    }
  }

  /// Packs group after group until there is enough to write.
  private mutating func pack(reading files: any ReadableFiles) -> DiskOperation? {
    if header == nil, !readHeader(from: files) { return giveUp() }
    while nextGroup <= lastGroup, output.count < Self.writeByteCount {
      guard let group = nextGroup(reading: files) else { return giveUp() }
      guard take(group.header, group.records) else { return giveUp() }
      sourceOffset = group.end
    }
    if nextGroup > lastGroup {
      closeGroup()
      end()
    }
    return writeOutput()
  }

  private mutating func readHeader(from files: any ReadableFiles) -> Bool {
    guard
      let bytes = try? files.read(name, at: 0, byteCount: SegmentHeader.byteCount),
      let header = try? SegmentHeader(decoding: bytes.span), header.number == number,
      header.identity == identity, header.packed == nil, header.firstGroup <= lastGroup
    else { return false }
    self.header = header
    nextGroup = header.firstGroup
    return true
  }

  /// What is not what was written stays as it is: the next start says what is to be done about it.
  private mutating func giveUp() -> DiskOperation? {
    stage = .ending([.syncDirectory])
    return .remove(newName)
  }

  // MARK: Reading

  /// The next group of the old file; nil if it is not there as it was written.
  private mutating func nextGroup(
    reading files: any ReadableFiles
  ) -> (header: GroupHeader, records: [UInt8], end: Int)? {
    guard let unit = header?.unit else { return nil }
    sourceOffset = (sourceOffset + unit - 1) / unit * unit
    if sourceOffset + Cell.byteCount > window.end, !read(Cell.byteCount, from: files) { return nil }
    if let header = peek(), sourceOffset + header.byteCount > window.end,
      !read(header.byteCount, from: files)
    {
      return nil
    }
    guard
      case .complete(let header, let records, let end) = window.group(nextGroup, at: sourceOffset)
    else { return nil }
    return (header, records, end)
  }

  /// The header of the group that starts at the offset, if that much was read.
  private func peek() -> GroupHeader? {
    guard sourceOffset + Cell.byteCount <= window.end,
      case .valid(.header, _) = window.state(at: sourceOffset)
    else { return nil }
    return window.header(at: sourceOffset)
  }

  private mutating func read(_ byteCount: Int, from files: any ReadableFiles) -> Bool {
    guard let header, byteCount <= header.segmentByteCount - sourceOffset,
      let bytes = try? files.read(
        name,
        at: sourceOffset,
        byteCount: max(Self.portion, byteCount)
      ), bytes.count >= byteCount
    else { return false }
    window = SegmentImage(
      number: number,
      file: name,
      bytes: bytes,
      place: window.place,
      start: sourceOffset
    )
    return true
  }

  // MARK: Putting together

  private mutating func take(_ header: GroupHeader, _ bytes: [UInt8]) -> Bool {
    guard let kept = try? header.decode(bytes) else { return false }
    let isAlone = kept.contains { if case .entry = $0 { false } else { true } }
    if isAlone || records.count + bytes.count > Self.groupByteLimit { closeGroup() }
    if open == nil {
      open = header
      open?.durableThrough = header.number - 1
    } else {
      open?.number = header.number
      open?.recordCount += header.recordCount
      open?.recordByteCount += header.recordByteCount
      open?.standing = header.standing
    }
    records += bytes
    nextGroup = header.number + 1
    if isAlone { closeGroup() }
    return true
  }

  private mutating func closeGroup() {
    guard let group = open else { return }
    let buffer = DiskBuffer(capacity: group.byteCount)
    buffer.reset(byteCount: group.byteCount)
    var writer = GroupWriter(
      buffer: buffer,
      start: 0,
      segmentOffset: outputOffset + output.count,
      place: window.place
    )
    writer.write(group, records: records.span)
    output += buffer.withSpan { $0.copied() }
    open = nil
    records.removeAll(keepingCapacity: true)
  }

  // MARK: Writing

  private mutating func writeOutput() -> DiskOperation {
    precondition(!output.isEmpty, "there is something to write after each stretch of groups")
    let bytes = output
    output = []
    checksum.update(with: bytes.span)
    defer { outputOffset += bytes.count }
    return .write(newName, offset: outputOffset, bytes: bytes)
  }

  /// The header comes last, when the length of the file is known.
  private mutating func end() {
    guard var header else { return }
    let byteCount = outputOffset + output.count
    header.unit = Cell.byteCount
    header.packed = SegmentHeader.Packed(
      lastGroup: lastGroup,
      unpackedByteCount: header.segmentByteCount
    )
    header.segmentByteCount = byteCount
    var whole = checksum
    whole.update(with: output.span)
    let area = header.areaBytes
    let proof: [DiskOperation] = [
      .sync(newName),
      .verify(newName, offset: 0, byteCount: area.count, checksum: CRC32C(of: area.span).value),
      .verify(
        newName,
        offset: area.count,
        byteCount: byteCount - area.count,
        checksum: whole.value
      ),
    ]
    let naming: [DiskOperation] = [.rename(newName, to: name), .syncDirectory]
    stage = .ending(
      [.write(newName, offset: 0, bytes: area)]
        + (settings.has(.packWithoutProof) ? naming : proof + naming)
    )
    isDone = true
  }
}
