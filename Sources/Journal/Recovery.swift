import RoostRaft
import RoostWire

/// Reads the log of a data directory, without changing anything.
///
/// The log is followed from group to group until there is none. Then everything behind that place is
/// looked at, because what stands there tells a torn tail from damage:
///
/// - A sector that a power cut has hit is wholly new or still zero. One that is neither was changed
///   after it was written: damage.
/// - Each group says which groups were surely durable when it was written. A group that is missing
///   although a later one says so: damage.
/// - All else is the torn tail: nobody was told that it had been written, and it may be cut off.
///
/// After damage the log is cut too, but its end is not forgotten. Every group repeats the vote and the
/// last place of the log in its first and in its last cell, so as long as no damage lies behind the
/// last group that can be recognised, all that was ever promised is known (``Standing/merge(_:)``).
/// Otherwise the node must be replaced.
struct Recovery {
  let disk: any Disk
  let identity: JournalIdentity
  /// Only for what is planted in them.
  private let settings: JournalSettings
  /// Called with the name of each file of the log before it is read.
  var progress: (String) -> Void = { _ in }

  /// The newest good snapshot; the log is needed from there on.
  private(set) var snapshot: StoredSnapshot?
  private(set) var snapshotFiles: Set<LogIndex> = []
  /// A newer one that was coming in from another node.
  private(set) var partial: PartialSnapshot?
  private(set) var segments: [SegmentFile] = []
  /// The headers that say that something before them does not count.
  private var cutters: [SegmentHeader] = []
  private(set) var replay = LogReplay(after: Standing())
  private(set) var findings: [Finding] = []
  /// Where the log ends, and the number of the group that would stand there.
  private(set) var end = LogOffset(segment: 0, offset: 0)
  private(set) var expected: UInt64 = 1
  /// Why the log can't simply go on at its end.
  private(set) var cut: Cut?
  /// Whether the log goes on where the snapshot ends; otherwise it starts anew after it.
  private(set) var continuesSnapshot = true
  /// The files of segments that lie wholly before the snapshot.
  private(set) var unneeded: [String] = []
  /// The segments behind the end in which nothing was ever written.
  private(set) var unused: [SegmentFile] = []
  /// The bytes of records in each segment that was followed.
  private(set) var recordByteCounts: [UInt64: Int] = [:]
  private var image: SegmentImage?

  enum Cut: Equatable {
    case torn
    case damaged(Damage)
  }

  init(
    disk: any Disk,
    identity: JournalIdentity,
    settings: JournalSettings = JournalSettings()
  ) {
    self.disk = disk
    self.identity = identity
    self.settings = settings
  }

  /// Reads everything that follows the snapshot.
  mutating func run() throws(JournalError) {
    try findSnapshot()
    segments = try SegmentFile.all(on: disk, of: identity, findings: &findings)
    cutters = segments.compactMap(\.header).filter { $0.void != nil }
    let started = starts.lastIndex { $0.after <= snapshotPlace.index }
    guard let first = started, let header = segments[first].header else {
      return try beginWithoutStart()
    }
    unneeded = segments[..<first].map(\.name)
    segments.removeFirst(first)
    replay = LogReplay(after: header.standing)
    expected = header.firstGroup
    end = LogOffset(segment: header.number, offset: SegmentHeader.areaByteCount)
    let stop = try follow()
    try judge(stop)
    finish()
  }

  /// The segments, and after which entry each can be read from its beginning.
  ///
  /// One that a cut has voided says what the log was in a life that does not count.
  var starts: [Journal.SegmentStart] {
    segments.map { file in
      let isVoid = isVoid(LogOffset(segment: file.number, offset: 0))
      let after = isVoid ? nil : file.header?.standing.last.index
      return Journal.SegmentStart(number: file.number, after: after ?? LogIndex(.max))
    }
  }

  /// The last segment in which anything was written.
  var newestUsed: UInt64 {
    let unused = Set(unused.map(\.number))
    return segments.last { !unused.contains($0.number) }?.number ?? 0
  }

  /// The full segments that can be packed, oldest first, and the last group of each.
  ///
  /// One in which the log was cut is none of them: packing would move the place that the cut names.
  var packable: [Journal.Packable] {
    zip(segments, segments.dropFirst()).compactMap { file, next in
      guard next.number <= end.segment, let header = file.header, let after = next.header,
        header.packed == nil, !isCut(file.number),
        Journal.isSparse(recordByteCounts[file.number, default: 0], in: header.segmentByteCount)
      else { return nil }
      return Journal.Packable(number: file.number, lastGroup: after.firstGroup - 1)
    }
  }

  private var snapshotPlace: LogPosition { snapshot?.label.mark.position ?? .start }

  private mutating func findSnapshot() throws(JournalError) {
    let names = try Journal.attempt { () throws(DiskError) in try disk.list() }
    for name in names.reversed() {
      guard let index = FileName.snapshotIndex(name) else { continue }
      snapshotFiles.insert(index)
      guard snapshot == nil else { continue }
      var reader = SnapshotReader(name, on: disk, of: identity.cluster)
      do throws(JournalError) {
        snapshot = try reader.verify()
      } catch .snapshotDamaged(let damage) {
        findings.append(.snapshotDamaged(damage))
      }
    }
    for name in names.reversed() where partial == nil {
      guard let (index, _, _) = FileName.partialNumbers(name), index > snapshotPlace.index else {
        continue
      }
      partial = PartialSnapshot(name, on: disk, of: identity.cluster)
    }
  }

  /// No segment begins early enough: what lies between the snapshot and the log is missing.
  private mutating func beginWithoutStart() throws(JournalError) {
    guard let first = segments.first else {
      let damage = Damage(file: FileName.segment(1), offset: 0, reason: "there is no log")
      throw .mustBeReplaced(damage)
    }
    expected = 0
    end = LogOffset(segment: first.number, offset: 0)
    let reason = "the log before it is missing, or its header is damaged"
    try judge(Damage(file: first.name, offset: 0, reason: reason))
    finish()
  }

  private mutating func finish() {
    image = nil
    continuesSnapshot = replay.drop(through: snapshotPlace)
    if !continuesSnapshot { leaveLogOut() }
    if case .damaged(let damage) = cut {
      findings.append(
        .damage(
          damage,
          keptThrough: replay.standing.last.index,
          promised: replay.standing.promised
        )
      )
    }
  }

  /// The log does not continue the snapshot: it is left out whole.
  ///
  /// If it begins behind it, the snapshot that it continued is gone, and nothing can be made of it. But its end was
  /// promised, as that of a damaged log was.
  private mutating func leaveLogOut() {
    var claimed = replay.standing
    let beginsBehind = replay.base.index > snapshotPlace.index
    replay.reset(after: snapshotPlace)
    guard beginsBehind else { return }
    claimed.promised = max(claimed.promised, claimed.last)
    replay.promise(claimed)
    if case .damaged = cut { return }
    let reason = "the snapshot that the log continues is missing or damaged"
    cut = .damaged(
      Damage(file: FileName.segment(end.segment), offset: end.offset, reason: reason)
    )
  }
}

// MARK: Following the log

extension Recovery {
  /// Applies group after group; answers what stands at the end, if it isn't nothing.
  private mutating func follow() throws(JournalError) -> Damage? {
    while true {
      while let header = voidTarget() {
        replay.resume(from: header.standing)
        expected = header.firstGroup
        end = LogOffset(segment: header.number, offset: SegmentHeader.areaByteCount)
      }
      guard try load(end.segment) else {
        return Damage(
          file: FileName.segment(end.segment),
          offset: 0,
          reason: "the segment is missing"
        )
      }
      switch image?.group(expected, at: end.offset) {
      case .complete(let header, let records, let groupEnd)?:
        try apply(records, of: header)
        recordByteCounts[end.segment, default: 0] += header.recordByteCount
        end = LogOffset(segment: end.segment, offset: aligned(groupEnd))
        expected = header.number + 1
      case .damaged(let damage)?:
        return damage
      case .incomplete?, nil:
        guard try goOnInNextSegment() else { return nil }
      }
    }
  }

  private mutating func apply(_ records: [UInt8], of header: GroupHeader) throws(JournalError) {
    do throws(WireError) {
      try replay.apply(try header.decode(records), of: header)
    } catch {
      throw .contradiction(
        Damage(
          file: FileName.segment(end.segment),
          offset: end.offset,
          reason: "group \(header.number): \(error)"
        )
      )
    }
  }

  /// Whether the expected group starts the next segment.
  private mutating func goOnInNextSegment() throws(JournalError) -> Bool {
    guard let next = segments.first(where: { $0.number > end.segment }), let header = next.header,
      next.number == end.segment + 1, header.firstGroup == expected, header.void == nil,
      let last = image
    else { return false }
    guard try load(next.number),
      case .complete? = image?.group(expected, at: SegmentHeader.areaByteCount)
    else {
      image = last
      return false
    }
    end = LogOffset(segment: next.number, offset: SegmentHeader.areaByteCount)
    return true
  }

  /// The segment that says that what stands at the end does not count.
  private func voidTarget() -> SegmentHeader? {
    cutters.last { header in
      guard let void = header.void else { return false }
      return void <= end && end.segment < header.number
    }
  }

  /// Reads a segment into memory, if it is not there yet.
  private mutating func load(_ number: UInt64) throws(JournalError) -> Bool {
    if image?.number == number { return true }
    guard let file = segments.first(where: { $0.number == number }) else { return false }
    image = nil
    progress(file.name)
    if let next = segments.first(where: { $0.number > number }) { disk.expectRead(of: next.name) }
    image = try file.read(from: disk, as: identity)
    return true
  }

  private func aligned(_ offset: Int) -> Int {
    let unit = segments.first { $0.number == end.segment }?.header?.unit ?? 4096
    return (offset + unit - 1) / unit * unit
  }
}

// MARK: Torn or damaged

extension Recovery {
  /// Decides what the end of the log is, from everything that stands behind it.
  private mutating func judge(_ stop: Damage?) throws(JournalError) {
    var evidence = Evidence(
      expected: expected,
      standing: replay.standing,
      knownEnd: end,
      settings: settings
    )
    if let stop { evidence.add(stop, at: end) }
    var number = end.segment
    for file in segments where file.number >= end.segment {
      if file.number > number + 1, !isVoid(LogOffset(segment: number + 1, offset: 0)) {
        let name = FileName.segment(number + 1)
        evidence.add(
          Damage(file: name, offset: 0, reason: "the segment is missing"),
          at: LogOffset(segment: number + 1, offset: 0)
        )
      }
      number = file.number
      try look(through: file, into: &evidence)
    }
    findings += evidence.rotten.prefix(8).map(Finding.harmless)
    if let damage = evidence.damage, !settings.has(.cutDamage) {
      guard evidence.lastDamage < evidence.knownEnd else { throw .mustBeReplaced(damage) }
      cut = .damaged(damage)
      replay.promise(evidence.standing)
    } else if evidence.hasContent || evidence.damage != nil {
      cut = .torn
      findings.append(
        .tornTail(
          file: FileName.segment(end.segment),
          offset: end.offset,
          afterIndex: replay.standing.last.index
        )
      )
    }
  }

  private mutating func look(
    through file: SegmentFile,
    into evidence: inout Evidence
  ) throws(JournalError) {
    guard try load(file.number), let image else { return }
    let isEnd = file.number == end.segment
    if file.state == .damaged, !isVoid(LogOffset(segment: file.number, offset: 0)) {
      evidence.add(
        image.damage(0, "both copies of the header are damaged"),
        at: LogOffset(segment: file.number, offset: 0)
      )
    }
    let start = isEnd ? max(end.offset, SegmentHeader.areaByteCount) : SegmentHeader.areaByteCount
    let written = image.writtenCells(from: start)
    if !isEnd, file.state == .unstarted, written.isEmpty { unused.append(file) }
    // A header without its group: the rest of that write was lost.
    if !isEnd, file.header != nil, !isVoid(LogOffset(segment: file.number, offset: 0)) {
      evidence.hasContent = true
    }
    for offset in written
    where !isVoid(LogOffset(segment: file.number, offset: offset)) {
      evidence.look(at: offset, in: image)
    }
    checkLength(of: file, image, into: &evidence)
  }

  /// A segment has its whole length before it has its name, and all that follow have the same, until they
  /// are packed and say so.
  private func checkLength(
    of file: SegmentFile,
    _ image: SegmentImage,
    into evidence: inout Evidence
  ) {
    let newest = segments.last { $0.number <= file.number && $0.header != nil }?.header
    guard let newest else { return }
    let expected = newest.number == file.number ? newest.segmentByteCount : newest.unpackedByteCount
    guard file.byteCount != expected,
      !isVoid(LogOffset(segment: file.number, offset: file.byteCount))
    else { return }
    evidence.add(
      image.damage(file.byteCount, "the file has not its length of \(expected) bytes"),
      at: LogOffset(segment: file.number, offset: expected)
    )
  }

  /// Whether a cut lies in a segment, or before it and it is void.
  private func isCut(_ number: UInt64) -> Bool {
    cutters.contains { header in
      header.void.map { $0.segment <= number && number < header.number } ?? false
    }
  }

  private func isVoid(_ place: LogOffset) -> Bool {
    cutters.contains { header in
      guard let void = header.void else { return false }
      return void <= place && place.segment < header.number
    }
  }
}

/// What was found behind the end of the log.
private struct Evidence {
  /// The group that is missing at the end.
  let expected: UInt64
  /// Everything that any group claims.
  var standing: Standing
  /// The end of the last group that was recognised.
  var knownEnd: LogOffset
  var damage: Damage?
  var lastDamage = LogOffset(segment: 0, offset: 0)
  var rotten: [Damage] = []
  /// Whether anything was written there.
  var hasContent = false

  let settings: JournalSettings

  init(
    expected: UInt64,
    standing: Standing,
    knownEnd: LogOffset,
    settings: JournalSettings
  ) {
    self.expected = expected
    self.standing = standing
    self.knownEnd = knownEnd
    self.settings = settings
  }

  mutating func add(_ damage: Damage, at place: LogOffset) {
    self.damage = self.damage ?? damage
    lastDamage = max(lastDamage, place)
  }

  mutating func look(at offset: Int, in image: SegmentImage) {
    let place = LogOffset(segment: image.number, offset: offset)
    switch image.state(at: offset) {
    case .zero:
      return
    case .rotten:
      return rotten.append(image.damage(offset, "bits are set where nothing was written"))
    case .damaged:
      add(image.damage(offset, "the checksum does not match"), at: place)
    case .valid(.body, _):
      break
    case .valid(.trailer, _) where settings.has(.ignoreTrailers):
      break
    case .valid(let kind, _):
      guard let header = image.header(at: offset) else {
        return add(image.damage(offset, "no header of a group"), at: place)
      }
      standing.merge(header.standing)
      let byteCount = kind == .header ? header.byteCount : Cell.byteCount
      knownEnd = max(knownEnd, LogOffset(segment: image.number, offset: offset + byteCount))
      if header.durableThrough >= expected, !settings.has(.ignoreDurableThrough) {
        add(
          image.damage(offset, "group \(expected), which stood before it, is lost"),
          at: LogOffset(segment: 0, offset: 0)
        )
      }
    }
    hasContent = true
  }
}
