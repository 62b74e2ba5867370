import RoostRaft
package import RoostWire

/// What a ``Journal`` knows of snapshots: the one it has, those it writes, those that are read.
struct Snapshots {
  var newest: SnapshotMark?
  /// Whether one is being written here.
  var isSaving = false
  var receiving: SnapshotReceiving?
  /// The files that exist.
  var files: Set<LogIndex> = []
  /// Those that somebody still reads, with how many.
  var readers: [LogIndex: Int] = [:]
}

/// A snapshot that is coming in from another node.
struct SnapshotReceiving {
  let name: String
  var decoder: SnapshotDecoder
  var checksum = CRC32C()
  /// The bytes that were taken, and those of them that were written.
  var takenByteCount = 0
  var writtenByteCount = 0
  var writesUnderWay = 0
  var isEnding = false
}

/// Why bytes of a snapshot from another node are not taken.
package enum SnapshotRefusal: Error, Equatable, Sendable {
  /// These are not the next bytes; go on at this offset.
  case expects(offset: Int)
  /// It is not newer than what is here.
  case old
  /// It is not what a node of this cluster wrote.
  case invalid(WireError)
}

// MARK: Saving

extension Journal {
  /// The newest snapshot that is complete, and was read back.
  package var newestSnapshot: SnapshotMark? { snapshots.newest }

  /// Whether a snapshot is being written.
  package var isSavingSnapshot: Bool { snapshots.isSaving }

  /// Starts writing a snapshot beside everything else; ``poll()`` says when it is done.
  ///
  /// One at a time, and only of what is newer than the last. When it is done, the log it makes
  /// superfluous is removed.
  package func saveSnapshot(_ mark: SnapshotMark, from source: any SnapshotSource) {
    precondition(!snapshots.isSaving, "one snapshot is written at a time")
    precondition(mark.place.index > newestSnapshotIndex, "a snapshot is newer than the last")
    guard failure == nil else { return }
    snapshots.isSaving = true
    let work = SnapshotSaving(mark, of: identity.cluster, from: source)
    disk.submit(work, number: background.start(.save(mark)))
  }

  var newestSnapshotIndex: LogIndex { snapshots.newest?.place.index ?? .zero }

  func didSave(_ mark: SnapshotMark, _ error: DiskError?, into report: inout JournalReport) {
    snapshots.isSaving = false
    if let error {
      let name = FileName.snapshot(mark.place.index)
      return didFailSnapshot(name, error, into: &report)
    }
    snapshots.files.insert(mark.place.index)
    guard mark.place.index > newestSnapshotIndex else { return }
    report.savedSnapshot = mark
    terms.drop(through: mark.place)
    supersede(with: mark)
  }

  /// A disk without space, or one that reads back something else, costs the snapshot; all else is the end.
  private func didFailSnapshot(
    _ name: String,
    _ error: DiskError,
    into report: inout JournalReport
  ) {
    guard error.reason == .noSpace || error.reason == .mismatch else {
      failure = failure ?? error
      return
    }
    report.snapshotFailure = error
    disk.submit(
      OperationList([.remove(FileName.new(name)), .syncDirectory]),
      number: background.start(.other)
    )
  }

  /// Makes a snapshot the newest, and removes the files that it makes superfluous.
  private func supersede(with mark: SnapshotMark) {
    snapshots.newest = mark
    let start = segments.lastIndex { $0.after <= mark.place.index } ?? 0
    stock += segments[..<start].map(\.number)
    segments.removeFirst(start)
    removeSuperfluous()
  }

  private func removeSuperfluous() {
    let old = snapshots.files.filter {
      $0 < newestSnapshotIndex && snapshots.readers[$0] == nil
    }
    snapshots.files.subtract(old)
    var operations = old.sorted().map { DiskOperation.remove(FileName.snapshot($0)) }
    if spare == .refused { retry() }
    while stock.count > 1 {
      operations.append(.remove(FileName.segment(stock.removeFirst())))
    }
    guard !operations.isEmpty else { return }
    operations.append(.syncDirectory)
    disk.submit(OperationList(operations), number: background.start(.other))
  }
}

// MARK: Reading

extension Journal {
  /// Reads the newest snapshot's pieces of state, if there is one.
  package func readSnapshot() -> SnapshotReader? {
    snapshots.newest.map {
      SnapshotReader(FileName.snapshot($0.place.index), on: disk, of: identity.cluster)
    }
  }

  /// Keeps the newest snapshot for a reader, who sends it to another node; ended by
  /// ``endSending(_:)``.
  package func beginSending() -> (mark: SnapshotMark, byteCount: Int)? {
    guard let mark = snapshots.newest,
      let byteCount = try? disk.byteCount(of: FileName.snapshot(mark.place.index))
    else { return nil }
    snapshots.readers[mark.place.index, default: 0] += 1
    return (mark, byteCount)
  }

  /// Bytes of a snapshot that is kept for sending, as they are in its file.
  package func snapshotBytes(
    of mark: SnapshotMark,
    at offset: Int,
    byteCount: Int
  ) throws(DiskError) -> [UInt8] {
    try disk.read(FileName.snapshot(mark.place.index), at: offset, byteCount: byteCount)
  }

  /// Ends what ``beginSending()`` began.
  package func endSending(_ mark: SnapshotMark) {
    let index = mark.place.index
    guard let readers = snapshots.readers[index] else { return }
    snapshots.readers[index] = readers > 1 ? readers - 1 : nil
    removeSuperfluous()
  }
}

// MARK: Receiving

extension Journal {
  /// Starts to receive a snapshot that ends at `place`; what came in of another one is dropped.
  package func beginReceiving(_ place: LogPlace) throws(SnapshotRefusal) {
    guard place.index > newestSnapshotIndex else { throw .old }
    guard snapshots.receiving?.isEnding != true else { throw .old }
    snapshots.receiving = SnapshotReceiving(
      name: FileName.snapshot(place.index),
      decoder: SnapshotDecoder(of: identity.cluster)
    )
  }

  /// Takes the next bytes of the snapshot that is received.
  ///
  /// ``JournalReport/receivedByteCount`` says when they are written, which is when the sender should
  /// hear of it; ``JournalReport/receivedSnapshot`` when the whole is in place.
  package func receive(_ bytes: [UInt8], at offset: Int) throws(SnapshotRefusal) {
    guard var receiving = snapshots.receiving, !receiving.isEnding, failure == nil else {
      throw .expects(offset: 0)
    }
    guard offset == receiving.takenByteCount else {
      throw .expects(offset: receiving.takenByteCount)
    }
    snapshots.receiving = nil
    do throws(WireError) {
      _ = try receiving.decoder.take(bytes)
      if let mark = receiving.decoder.mark,
        FileName.snapshot(mark.place.index) != receiving.name
      {
        throw .invalid("snapshot position")
      }
    } catch {
      throw .invalid(error)
    }
    receiving.checksum.update(with: bytes.span)
    receiving.takenByteCount += bytes.count
    receiving.writesUnderWay += 1
    let operation = DiskOperation.write(
      FileName.new(receiving.name),
      offset: offset,
      bytes: bytes
    )
    let purpose = BackgroundJobs.Purpose.receive(receiving.name, bytes.count)
    snapshots.receiving = receiving
    disk.submit(OperationList([operation]), number: background.start(purpose))
  }

  func didReceive(
    _ name: String,
    _ byteCount: Int,
    _ error: DiskError?,
    into report: inout JournalReport
  ) {
    guard var receiving = snapshots.receiving, receiving.name == name else {
      if let error { didFailSnapshot(name, error, into: &report) }
      return
    }
    if let error {
      snapshots.receiving = nil
      return didFailSnapshot(name, error, into: &report)
    }
    receiving.writesUnderWay -= 1
    receiving.writtenByteCount += byteCount
    report.receivedByteCount = receiving.writtenByteCount
    if receiving.decoder.isComplete, receiving.writesUnderWay == 0,
      let mark = receiving.decoder.mark
    {
      receiving.isEnding = true
      let operations = SnapshotSaving.naming(
        name,
        byteCount: receiving.takenByteCount,
        checksum: receiving.checksum.value
      )
      disk.submit(OperationList(operations), number: background.start(.install(mark)))
    }
    snapshots.receiving = receiving
  }

  func didInstall(_ mark: SnapshotMark, _ error: DiskError?, into report: inout JournalReport) {
    snapshots.receiving = nil
    if let error {
      let name = FileName.snapshot(mark.place.index)
      return didFailSnapshot(name, error, into: &report)
    }
    snapshots.files.insert(mark.place.index)
    guard mark.place.index > newestSnapshotIndex else { return }
    waiting.add(.install(mark.place))
    report.receivedSnapshot = mark
    supersede(with: mark)
  }
}
