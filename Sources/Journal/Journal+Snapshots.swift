package import RoostRaft
package import RoostWire

/// What a ``Journal`` knows of snapshots: the one it has, and those that are being written.
struct Snapshots {
  var newest: StoredSnapshot?
  /// Whether one of our own state is being written.
  var isSaving = false
  var receiving: SnapshotReceiving?
  /// The files that exist.
  var files: Set<LogIndex> = []
  /// The one that was last read for another node; it survives one newer snapshot.
  var lastSent: LogIndex?
}

/// A snapshot that is coming in from another node.
struct SnapshotReceiving {
  let descriptor: SnapshotDescriptor
  var decoder: SnapshotDecoder
  var checksum = CRC32C()
  var takenByteCount = 0
  /// Whether it is getting its name.
  var isInstalling = false
  /// The bytes that were taken since the last sync was asked for.
  var sinceSync = 0

  init(_ descriptor: SnapshotDescriptor, of cluster: ClusterID) {
    self.descriptor = descriptor
    decoder = SnapshotDecoder(of: cluster)
  }

  /// Goes on with what a restart found.
  init(_ found: PartialSnapshot) {
    descriptor = found.descriptor
    decoder = found.decoder
    checksum = found.decoder.checksum
    takenByteCount = found.byteCount
  }

  /// The file that it comes in by.
  var name: String { FileName.partial(descriptor) }

  /// Whether all bytes were taken, and are those of the snapshot that was named.
  var isWhole: Bool {
    decoder.isComplete && decoder.label?.mark == descriptor.mark
      && UInt64(takenByteCount) == descriptor.byteCount
      && UInt64(checksum.value) == descriptor.checksum
  }
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
  package var newestSnapshot: StoredSnapshot? { snapshots.newest }

  /// Whether a snapshot of our own state is being written.
  package var isSavingSnapshot: Bool { snapshots.isSaving }

  private var newestIndex: LogIndex { snapshots.newest?.label.index ?? .zero }

  /// Starts writing a snapshot beside everything else; ``poll()`` says when it is done.
  ///
  /// One at a time, and only of what is newer than the last. When it is done, the log files that it
  /// makes superfluous are removed.
  package func saveSnapshot(_ label: SnapshotLabel, from source: any SnapshotSource) {
    precondition(!snapshots.isSaving, "one snapshot is written at a time")
    precondition(label.index > newestIndex, "a snapshot is newer than the last")
    guard failure == nil else { return }
    snapshots.isSaving = true
    if settings.has(.removeBeforeSnapshot) { retireSegments(through: label.index) }
    let work = SnapshotSaving(
      label,
      of: identity.cluster,
      from: source,
      settings: settings
    )
    disk.submit(work, number: background.start(.save(label.index)))
  }

  func didSave(
    _ index: LogIndex,
    _ completion: DiskCompletion,
    into report: inout JournalReport
  ) {
    snapshots.isSaving = false
    if let error = completion.error {
      report.snapshotFailure = error
      return didFailSnapshot(FileName.new(FileName.snapshot(index)), error)
    }
    guard let stored = (completion.work as? SnapshotSaving)?.stored, index > newestIndex
    else { return }
    terms.drop(through: stored.label.mark.position)
    report.savedSnapshot = stored
    supersede(with: stored)
  }

  /// A full disk, or one that reads back something else, costs the snapshot; all else is the end.
  ///
  /// So does a file that is not there: it was given up while some of it was still to be written.
  private func didFailSnapshot(_ file: String, _ error: DiskError) {
    guard [.noSpace, .mismatch, .missing].contains(error.reason) else {
      failure = failure ?? error
      return
    }
    discard(file)
  }

  /// Removes what is left of a file that could not be made.
  func discard(_ file: String) {
    let operations: [DiskOperation] = [.remove(file), .syncDirectory]
    disk.submit(OperationList(operations), number: background.start(.other))
  }

  /// Makes a snapshot the newest, and removes the files that it makes superfluous.
  private func supersede(with stored: StoredSnapshot) {
    let lastSent = snapshots.lastSent
    snapshots.lastSent = nil
    snapshots.newest = stored
    snapshots.files.insert(stored.label.index)
    retireSegments(through: stored.label.index)
    if spare == .refused { retry() }
    // What is as old as that is of no use any more, unless it has just come in and is getting its name.
    if let known = snapshots.receiving, known.descriptor.mark.index <= stored.label.index,
      !known.decoder.isComplete
    {
      snapshots.receiving = nil
      discard(known.name)
    }
    let old = snapshots.files.filter { $0 != stored.label.index && $0 != lastSent }
    snapshots.files.subtract(old)
    var operations = old.sorted().map { DiskOperation.remove(FileName.snapshot($0)) }
    while stock.count > 1 {
      operations.append(.remove(FileName.segment(stock.removeFirst())))
    }
    guard !operations.isEmpty else { return }
    operations.append(.syncDirectory)
    disk.submit(OperationList(operations), number: background.start(.other))
  }

  /// Stops using the segments that end before an entry that a snapshot holds.
  private func retireSegments(through index: LogIndex) {
    let start = segments.lastIndex { $0.after <= index } ?? 0
    // One that is being packed is in use until that is done.
    stock += segments[..<start].map(\.number).filter { $0 != packing }
    segments.removeFirst(start)
  }
}

// MARK: Reading

extension Journal {
  /// Reads the newest snapshot's pieces of state, if there is one.
  package func readSnapshot() -> SnapshotReader? {
    snapshots.newest.map {
      SnapshotReader(FileName.snapshot($0.label.index), on: disk, of: identity.cluster)
    }
  }

  /// Bytes of a snapshot's file, for another node; nil if that file is gone.
  ///
  /// What is read here survives the next newer snapshot, so that a slow transfer comes to an end.
  package func snapshotBytes(
    of descriptor: SnapshotDescriptor,
    at offset: UInt64,
    byteCount: Int
  ) -> [UInt8]? {
    let index = descriptor.mark.index
    guard snapshots.files.contains(index), offset <= UInt64(Int.max) else { return nil }
    snapshots.lastSent = index
    return try? disk.read(FileName.snapshot(index), at: Int(offset), byteCount: byteCount)
  }
}

// MARK: Receiving

extension Journal {
  /// Whether this snapshot is coming in.
  package func isReceiving(_ descriptor: SnapshotDescriptor) -> Bool {
    snapshots.receiving?.descriptor == descriptor
  }

  /// How much there is of the snapshot that is coming in.
  package var receivingByteCount: UInt64 { UInt64(snapshots.receiving?.takenByteCount ?? 0) }

  /// Takes the next bytes of a snapshot from another node.
  ///
  /// They come in order; bytes at offset 0 start a snapshot, from its beginning, and drop what came of another
  /// one or of the same one before. What came before a restart stays (``Recovered/incoming``). ``JournalReport/receivedSnapshot`` says when all of it is in place; how the log goes
  /// on after it is said by an ``append(ticket:hardState:restartAfter:truncateFrom:entries:)``.
  package func receive(
    _ bytes: [UInt8],
    at offset: UInt64,
    of descriptor: SnapshotDescriptor
  ) throws(SnapshotRefusal) {
    guard failure == nil, descriptor.mark.index > newestIndex else { throw .old }
    let known = snapshots.receiving
    if known?.descriptor != descriptor || offset == 0 && known?.decoder.isComplete == false {
      if let known, known.descriptor != descriptor { discard(known.name) }
      snapshots.receiving = SnapshotReceiving(descriptor, of: identity.cluster)
    }
    guard var receiving = snapshots.receiving else { throw .old }
    guard offset == UInt64(receiving.takenByteCount) else {
      throw .expects(offset: receiving.takenByteCount)
    }
    // Not two owners of what waits in it: it would be copied.
    snapshots.receiving = nil
    do throws(WireError) {
      guard UInt64(bytes.count) <= descriptor.byteCount - offset else {
        throw .trailing(byteCount: bytes.count)
      }
      _ = try receiving.decoder.take(bytes)
    } catch {
      discard(receiving.name)
      throw .invalid(error)
    }
    var operations = [DiskOperation.write(receiving.name, offset: Int(offset), bytes: bytes)]
    receiving.checksum.update(with: bytes.span)
    receiving.takenByteCount += bytes.count
    receiving.sinceSync += bytes.count
    if receiving.sinceSync >= settings.snapshotSyncInterval {
      // So that no sync has much to do, and a power cut takes no more than this.
      operations += [.sync(receiving.name), .syncDirectory]
      receiving.sinceSync = 0
    }
    snapshots.receiving = receiving
    disk.submit(OperationList(operations), number: background.start(.receive(descriptor)))
  }

  func didReceive(
    _ descriptor: SnapshotDescriptor,
    _ error: DiskError?,
    into report: inout JournalReport
  ) {
    guard let receiving = snapshots.receiving, receiving.descriptor == descriptor else {
      if let error { didFailSnapshot(FileName.partial(descriptor), error) }
      return
    }
    if let error {
      // Whoever sends it must begin again: what was taken is gone.
      snapshots.receiving = nil
      report.refusedSnapshot = receiving.descriptor
      report.refusalReason = error
      return didFailSnapshot(receiving.name, error)
    }
    // Also not one of an earlier try, which could still come between.
    guard receiving.decoder.isComplete, !receiving.isInstalling,
      !background.purposes.values.contains(.receive(descriptor))
    else { return }
    guard receiving.isWhole, let label = receiving.decoder.label else {
      snapshots.receiving = nil
      report.refusedSnapshot = receiving.descriptor
      return discard(receiving.name)
    }
    snapshots.receiving?.isInstalling = true
    let stored = StoredSnapshot(
      label: label,
      byteCount: receiving.takenByteCount,
      checksum: receiving.checksum.value
    )
    let operations = SnapshotSaving.naming(
      receiving.name,
      FileName.snapshot(descriptor.mark.index),
      byteCount: stored.byteCount,
      checksum: stored.checksum
    )
    disk.submit(OperationList(operations), number: background.start(.install(stored)))
  }

  func didInstall(
    _ stored: StoredSnapshot,
    _ error: DiskError?,
    into report: inout JournalReport
  ) {
    snapshots.receiving = nil
    if let error {
      report.refusedSnapshot = stored.descriptor
      report.refusalReason = error
      return didFailSnapshot(FileName.partial(stored.descriptor), error)
    }
    report.receivedSnapshot = stored
    guard stored.label.index > newestIndex else { return }
    supersede(with: stored)
  }
}
