// RoostJournal: the log, the vote and the snapshots of one node, in files that survive what disks do.
//
// Owns the formats of a data directory, what is written when, and what may be believed when it is read
// again. Pure: files are behind the `Disk` protocol, which real files and a simulated disk implement.
//
// Leaves to `Raft` what the entries mean, to the state machine what is in a snapshot, and to `Node` the
// system calls, the threads, and the end of the process after a failed write.

package import RoostRaft
package import RoostWire

/// The log, the vote and the term of one node, in the files of a ``Disk``.
///
/// A turn of the node is one ``append(ticket:hardState:restartAfter:truncateFrom:entries:)``; its ticket comes back
/// from ``poll()`` when all of it is durable. While a write is under way, what is appended waits, and
/// goes out together as the next write: commits are grouped by what waited, without a timer.
///
/// The log lies in *segments*, files of one size that are zero until they are used and of which no
/// sector is written twice. One write is one *group* of *records*. ``SegmentHeader``, ``GroupHeader``,
/// ``Cell`` and ``Record`` say how they look, ``Recovery`` how they are read again. The next segment is
/// prepared beside the writes, so that they never wait for it on a healthy disk.
///
/// A journal belongs to one thread, does nothing on its own, and ends with the first failed write.
package final class Journal {
  package let identity: JournalIdentity
  package let settings: JournalSettings
  let disk: any Disk

  /// As it is after everything that was handed to the disk.
  var standing: Standing
  var terms: LogTerms
  var active: ActiveSegment
  var spare: Spare = .none
  /// The segments that exist, from the oldest to the active one.
  var segments: [SegmentStart]
  /// Full segments that are mostly padding, and the one that is being packed.
  var packable: [Packable] = []
  var packing: UInt64?
  /// Old segments that are kept to become new ones.
  var stock: [UInt64] = []
  var snapshots = Snapshots()
  var waiting = WaitingWrites()
  private let inFlightLimit: Int
  private var inFlight: [Group] = []
  private var buffers: [DiskBuffer] = []
  private var nextGroup: UInt64
  var durableThrough: UInt64
  var background = BackgroundJobs()
  /// Told to be durable by a planted mistake.
  private var acknowledgedEarly: UInt64?
  package internal(set) var failure: DiskError?

  /// The segment that is written to.
  struct ActiveSegment {
    var number: UInt64
    var byteCount: Int
    /// Where the next group starts.
    var offset: Int
    var unit: Int
    /// Whether the header has still to be written, with the first group.
    var needsHeader: Bool
    /// The bytes of records in it.
    var recordByteCount = 0

    var room: Int { byteCount - offset }
  }

  /// A segment, and the last entry before it.
  struct SegmentStart: Equatable {
    let number: UInt64
    /// Past all indexes if no log may ever be read from it on.
    let after: LogIndex
  }

  /// The segment after the active one.
  enum Spare: Equatable {
    case none
    case preparing(UInt64)
    case ready(UInt64)
    /// There was no space to prepare it.
    case refused
  }

  /// One write that is under way.
  private struct Group {
    let number: UInt64
    let buffer: DiskBuffer
    /// The newest ticket that is complete with this group.
    let ticket: UInt64?
    var isDurable = false
  }

  init(disk: any Disk, settings: JournalSettings, start: Start) {
    self.disk = disk
    self.settings = settings
    inFlightLimit = settings.inFlightLimit ?? disk.writesAtOnce
    identity = start.identity
    standing = start.standing
    terms = start.terms
    active = start.active
    segments = start.segments
    packable = start.packable
    snapshots.newest = start.snapshot
    snapshots.files = start.snapshotFiles
    snapshots.receiving = start.partial.map { SnapshotReceiving($0) }
    nextGroup = start.nextGroup
    durableThrough = start.nextGroup - 1
  }

  /// What opening finds out.
  struct Start {
    var identity: JournalIdentity
    var standing: Standing
    var terms: LogTerms
    var active: ActiveSegment
    var segments: [SegmentStart]
    var packable: [Packable]
    var nextGroup: UInt64
    var snapshot: StoredSnapshot?
    var snapshotFiles: Set<LogIndex>
    var partial: PartialSnapshot?
  }

  /// Whether a write would start at once, because none is under way.
  package var isIdle: Bool { inFlight.isEmpty && waiting.isEmpty }

  /// Whether more client writes should be taken in.
  ///
  /// False when the disk is full and the room that is left is kept for votes, terms and the handing
  /// over of leadership. It becomes true by itself when there is space again (``retry()``).
  package var admitsWrites: Bool {
    guard failure == nil else { return false }
    switch spare {
    case .ready, .preparing, .none: return true
    case .refused: return active.room > settings.segmentByteCount / 4
    }
  }

  /// Starts making a turn's changes durable, in the order of the parameters.
  ///
  /// - Parameters:
  ///   - ticket: Comes back from ``poll()``; each is greater than the one before.
  ///   - hardState: The new term and vote, if they changed.
  ///   - restartAfter: The end of the newest snapshot, after which the log begins anew.
  ///   - truncateFrom: The first index to remove.
  ///   - entries: What is appended after that, without a gap.
  package func append(
    ticket: UInt64,
    hardState: HardState? = nil,
    restartAfter: LogPosition? = nil,
    truncateFrom: LogIndex? = nil,
    entries: [Entry] = []
  ) {
    guard failure == nil else { return }
    if let hardState { waiting.add(hardState) }
    if let restartAfter { waiting.add(.reset(after: restartAfter)) }
    if let truncateFrom { waiting.add(.truncate(from: truncateFrom)) }
    waiting.add(entries)
    waiting.add(ticket: ticket)
    if settings.has(.acknowledgeBeforeSync) { acknowledgedEarly = ticket }
    startWrites()
  }

  /// Tells how far the log is committed; it is written with the next group, never for its own sake.
  package func noteCommit(_ index: LogIndex) {
    standing.commitHint = max(standing.commitHint, index)
  }

  /// Takes the disk's completions, starts what waited for them, and says what is durable now.
  package func poll() -> JournalReport {
    var report = JournalReport()
    for completion in disk.takeCompletions() {
      if let group = BackgroundJobs.group(of: completion.number) {
        didWrite(group, completion.error, into: &report)
      } else {
        didPerform(completion, into: &report)
      }
    }
    if failure == nil { startWrites() }
    report.durable = acknowledgedEarly ?? report.durable
    acknowledgedEarly = nil
    report.failure = failure
    return report
  }

  private func didWrite(_ number: UInt64, _ error: DiskError?, into report: inout JournalReport) {
    if let error { failure = failure ?? error }
    guard failure == nil, let index = inFlight.firstIndex(where: { $0.number == number })
    else { return }
    inFlight[index].isDurable = true
    if settings.has(.acknowledgeOutOfOrder) { acknowledgedEarly = inFlight[index].ticket }
    while let group = inFlight.first, group.isDurable {
      inFlight.removeFirst()
      durableThrough = group.number
      buffers.append(group.buffer)
      report.durable = group.ticket ?? report.durable
    }
  }
}

// MARK: Writing

extension Journal {
  /// Starts as many writes as may be under way.
  func startWrites() {
    while inFlight.count < inFlightLimit, !waiting.isEmpty {
      guard prepareRoom() else { break }
      let before = standing
      let batch = waiting.take(
        byteLimit: min(
          max(settings.groupByteLimit, waiting.firstByteCount),
          GroupHeader.recordCapacity(of: active.room)
        ),
        standing: &standing,
        terms: &terms
      )
      write(batch, segmentStanding: before)
      waiting.remove(batch)
    }
    if failure == nil {
      prepareSpare()
      packNext()
    }
  }

  /// Makes sure that the first waiting record fits into the active segment.
  private func prepareRoom() -> Bool {
    if waiting.firstByteCount <= GroupHeader.recordCapacity(of: active.room) { return true }
    guard case .ready(let number) = spare else { return false }
    spare = .none
    if Self.isSparse(active.recordByteCount, in: active.byteCount) {
      packable.append(Packable(number: active.number, lastGroup: nextGroup - 1))
    }
    segments.append(SegmentStart(number: number, after: standing.last.index))
    active = ActiveSegment(
      number: number,
      byteCount: settings.segmentByteCount,
      offset: SegmentHeader.areaByteCount,
      unit: settings.unit,
      needsHeader: true
    )
    precondition(
      waiting.firstByteCount <= GroupHeader.recordCapacity(of: active.room),
      "an entry is within the limit of the journal"
    )
    return true
  }

  private func write(_ batch: WaitingWrites.Batch, segmentStanding: Standing) {
    let header = GroupHeader(
      number: nextGroup,
      durableThrough: durableThrough,
      recordByteCount: batch.byteCount,
      recordCount: batch.recordCount,
      standing: standing
    )
    let area = active.needsHeader ? SegmentHeader.areaByteCount : 0
    let byteCount = (header.byteCount + active.unit - 1) / active.unit * active.unit
    let buffer = takeBuffer(byteCount: area + byteCount)
    if active.needsHeader {
      let segment = segmentHeader(standing: segmentStanding)
      buffer.put(segment.areaBytes.span, at: 0)
    }
    var writer = GroupWriter(
      buffer: buffer,
      start: area,
      segmentOffset: active.offset,
      place: SegmentPlace(identity, segment: active.number)
    )
    waiting.withRecords(of: batch) { writer.write(header, records: $0) }
    inFlight.append(Group(number: nextGroup, buffer: buffer, ticket: batch.ticket))
    let number = BackgroundJobs.number(ofGroup: nextGroup)
    let file = FileName.segment(active.number)
    let offset = active.offset - area
    nextGroup += 1
    active.offset += byteCount
    active.recordByteCount += batch.byteCount
    active.needsHeader = false
    disk.write(buffer, to: file, at: offset, number: number)
  }

  func segmentHeader(standing: Standing) -> SegmentHeader {
    SegmentHeader(
      unit: active.unit,
      identity: identity,
      number: active.number,
      segmentByteCount: active.byteCount,
      firstGroup: nextGroup,
      standing: standing
    )
  }

  private func takeBuffer(byteCount: Int) -> DiskBuffer {
    let fitting = buffers.lastIndex { $0.capacity >= byteCount }
    let buffer =
      fitting.map { buffers.remove(at: $0) } ?? DiskBuffer(capacity: max(byteCount, 65536))
    if buffers.count > inFlightLimit { buffers.removeFirst() }
    buffer.reset(byteCount: byteCount)
    return buffer
  }
}
