package import RoostRaft
import RoostWire

extension Journal {
  /// Opens the journal of a node; the first time, makes it.
  ///
  /// - Parameters:
  ///   - disk: The data directory.
  ///   - identity: Whose it is to be.
  ///   - incarnation: Is kept the first time, and comes back every time.
  ///   - settings: Sizes and limits.
  /// - Returns: The journal, and what was in it.
  /// - Throws: If the directory is another node's, was written by a newer format, can't be read, or
  ///   is damaged so that the node must be replaced. Then nothing was changed in it.
  package static func open(
    on disk: any Disk,
    as identity: JournalIdentity,
    incarnation: Incarnation = .zero,
    settings: JournalSettings = JournalSettings()
  ) throws(JournalError) -> (journal: Journal, recovered: Recovered) {
    let names = try attempt { () throws(DiskError) in try disk.list() }
    if !names.contains(FileName.identity) {
      try refuseUsed(disk, as: identity, names: names)
      try found(on: disk, as: identity, incarnation: incarnation, settings: settings)
    }
    let (owner, incarnation) = try owner(of: disk)
    guard owner == identity else { throw .foreign(file: FileName.identity, found: owner) }
    var recovery = Recovery(disk: disk, identity: identity, settings: settings)
    try recovery.run()
    let journal = Journal(disk: disk, settings: settings, start: start(after: recovery))
    try attempt { () throws(DiskError) in try journal.settle(recovery, names: names) }
    return (journal, Recovered(recovery, incarnation: incarnation))
  }

  /// Whose directory it is.
  static func owner(
    of disk: any Disk
  ) throws(JournalError) -> (identity: JournalIdentity, incarnation: Incarnation) {
    let bytes = try attempt { () throws(DiskError) in
      try disk.read(FileName.identity, at: 0, byteCount: 4096)
    }
    return try JournalIdentity.read(bytes)
  }

  /// Runs what a disk may refuse.
  static func attempt<Result>(
    _ body: () throws(DiskError) -> Result
  ) throws(JournalError) -> Result {
    do throws(DiskError) {
      return try body()
    } catch {
      throw .disk(error)
    }
  }

  /// Makes the first segment, and then, as the last step, the file that says that all is made.
  private static func found(
    on disk: any Disk,
    as identity: JournalIdentity,
    incarnation: Incarnation,
    settings: JournalSettings
  ) throws(JournalError) {
    let header = SegmentHeader(
      unit: settings.unit,
      identity: identity,
      number: 1,
      segmentByteCount: settings.segmentByteCount,
      firstGroup: 1,
      standing: Standing()
    )
    let segment = FileName.segment(1)
    let new = FileName.new(FileName.identity)
    try attempt { () throws(DiskError) in
      try disk.perform(preparation(of: 1, byteCount: settings.segmentByteCount))
      try disk.perform([
        .write(segment, offset: 0, bytes: header.areaBytes), .sync(segment),
        .write(new, offset: 0, bytes: identity.fileBytes(incarnation)), .sync(new),
        .rename(new, to: FileName.identity), .syncDirectory,
      ])
    }
  }

  /// A directory without the file that says whose it is may hold what an unfinished first start left,
  /// and nothing more.
  private static func refuseUsed(
    _ disk: any Disk,
    as identity: JournalIdentity,
    names: [String]
  ) throws(JournalError) {
    for name in names {
      guard let number = FileName.segmentNumber(name) else { continue }
      let bytes = try attempt { () throws(DiskError) in
        try disk.read(name, at: 0, byteCount: try disk.byteCount(of: name))
      }
      let image = SegmentImage(
        number: number,
        file: name,
        bytes: bytes,
        place: SegmentPlace(identity, segment: number)
      )
      guard number == 1, image.writtenCells(from: SegmentHeader.areaByteCount).isEmpty else {
        throw .identityMissing
      }
    }
  }

  /// Where writing goes on: behind the last group, or, where the log was cut, in a new segment.
  private static func start(after recovery: Recovery) -> Start {
    let standing = recovery.replay.standing
    var terms = LogTerms(after: recovery.replay.base)
    for entry in recovery.replay.entries { terms.append(entry.position) }
    let header = recovery.segments.first { $0.number == recovery.end.segment }?.header
    let segments = recovery.starts.filter { $0.number <= recovery.end.segment }
    return Start(
      identity: recovery.identity,
      standing: standing,
      terms: terms,
      active: ActiveSegment(
        number: recovery.end.segment,
        // Nothing is added to a packed segment.
        byteCount: header.flatMap { $0.packed == nil ? $0.segmentByteCount : nil } ?? 0,
        offset: recovery.end.offset,
        unit: header?.unit ?? 4096,
        needsHeader: false,
        recordByteCount: recovery.recordByteCounts[recovery.end.segment, default: 0]
      ),
      segments: segments,
      packable: recovery.packable,
      nextGroup: max(1, recovery.expected),
      snapshot: recovery.snapshot,
      snapshotFiles: recovery.snapshotFiles,
      partial: recovery.partial
    )
  }
}

// MARK: Tidying up

extension Journal {
  /// Makes the directory fit to be written to, after it was read.
  private func settle(_ recovery: Recovery, names: [String]) throws(DiskError) {
    // A process that was killed may have written what it never synced. It counts from now on, so it
    // has to be durable first.
    for file in recovery.segments where file.header != nil && file.number <= recovery.end.segment {
      try disk.perform(.sync(file.name))
    }
    let partial = recovery.partial.map { FileName.partial($0.descriptor) }
    for name in names where FileName.isNew(name) || FileName.isPartial(name) && name != partial {
      try disk.perform(.remove(name))
    }
    for name in recovery.unneeded { try disk.perform(.remove(name)) }
    let spareFile = try keepOneSpare(of: recovery)
    let number = spareFile?.number ?? recovery.newestUsed + 1
    if recovery.cut != nil || active.byteCount != settings.segmentByteCount {
      try begin(number, isReady: spareFile != nil, after: recovery)
    } else if spareFile != nil {
      spare = .ready(number)
    }
    try disk.perform(.syncDirectory)
    if let stored = recovery.snapshot, !recovery.continuesSnapshot, recovery.cut == nil {
      waiting.add(.reset(after: stored.label.mark.position))
    }
    startWrites()
  }

  /// Answers the segment that can be written to next, if it was prepared, and removes all other unused ones.
  ///
  /// One at a time, the last one first: a crash in between leaves no gap in the numbers.
  private func keepOneSpare(of recovery: Recovery) throws(DiskError) -> SegmentFile? {
    let unused = recovery.unused.filter { $0.number > recovery.newestUsed }
    let next = unused.first {
      $0.number == recovery.newestUsed + 1 && $0.byteCount == settings.segmentByteCount
    }
    for file in unused.reversed() where file.number != next?.number {
      try disk.perform([.remove(file.name), .syncDirectory])
    }
    return next
  }

  /// Starts a segment that says where the log before it ends.
  ///
  /// One that has to be made gets its header before its name, so that it is never seen without.
  private func begin(
    _ number: UInt64,
    isReady: Bool,
    after recovery: Recovery
  ) throws(DiskError) {
    // What stands behind the end is void from now on.
    segments = recovery.starts.filter { $0.number < number }.map { start in
      start.number <= recovery.end.segment
        ? start : SegmentStart(number: start.number, after: LogIndex(.max))
    }
    segments.append(SegmentStart(number: number, after: standing.last.index))
    active = ActiveSegment(
      number: number,
      byteCount: settings.segmentByteCount,
      offset: SegmentHeader.areaByteCount,
      unit: settings.unit,
      needsHeader: false
    )
    var header = segmentHeader(standing: standing)
    header.void = settings.has(.forgetCut) ? nil : recovery.end
    let name = FileName.segment(number)
    let file = isReady ? name : FileName.new(name)
    if !isReady { try disk.perform(.fill(file, byteCount: settings.segmentByteCount)) }
    try disk.perform([.write(file, offset: 0, bytes: header.areaBytes), .sync(file)])
    if !isReady { try disk.perform([.rename(file, to: name), .syncDirectory]) }
  }
}

extension Recovered {
  init(_ recovery: Recovery, incarnation: Incarnation) {
    let standing = recovery.replay.standing
    self.init(
      incarnation: incarnation,
      hardState: standing.hardState,
      snapshot: recovery.snapshot,
      incoming: recovery.partial?.incoming,
      base: recovery.replay.base,
      entries: recovery.replay.entries,
      commitHint: min(standing.commitHint, standing.last.index),
      promised: standing.promised == .start ? nil : standing.promised,
      findings: recovery.findings
    )
  }
}
