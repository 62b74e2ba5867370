package import RoostRaft
import RoostWire

/// What somebody who looks at a data directory from outside wants to know; it is never changed.
package struct JournalInspection {
  /// What it comes to.
  package enum Verdict: Equatable, Sendable {
    case sound
    /// An unfinished write at the end, which opening cuts off.
    case tornTail
    /// Something that was written is not there as it was.
    case damaged
  }

  private let disk: any Disk
  package let identity: JournalIdentity
  package let incarnation: Incarnation

  /// Reads whose directory it is.
  package init(of disk: any Disk) throws(JournalError) {
    self.disk = disk
    (identity, incarnation) = try Journal.owner(of: disk)
  }

  /// Reads everything, as opening would, and says what opening would find.
  ///
  /// - Parameter progress: Is told the name of each file of the log before it is read.
  /// - Returns: What opening would answer, and what it comes to.
  /// - Throws: What opening would throw.
  package func check(
    progress: @escaping (String) -> Void = { _ in }
  ) throws(JournalError) -> (recovered: Recovered, verdict: Verdict) {
    var recovery = Recovery(disk: disk, identity: identity)
    recovery.progress = progress
    try recovery.run()
    let recovered = Recovered(recovery, incarnation: incarnation)
    var verdict = Verdict.sound
    for finding in recovered.findings {
      switch finding {
      case .tornTail: if verdict == .sound { verdict = .tornTail }
      case .damage, .snapshotDamaged, .harmless: verdict = .damaged
      }
    }
    return (recovered, verdict)
  }

  /// Hands out what stands in the files, line by line, in their order, whether it counts or not.
  ///
  /// - Parameters:
  ///   - line: Takes the lines.
  ///   - progress: Is told the name of each file of the log before it is read.
  /// - Throws: If a file can't be read.
  package func dump(
    to line: (String) -> Void,
    progress: (String) -> Void = { _ in }
  ) throws(JournalError) {
    line("node \(identity.node) of cluster \(identity.cluster), incarnation \(incarnation)")
    let names = try Journal.attempt { () throws(DiskError) in try disk.list() }
    for name in names where FileName.snapshotIndex(name) != nil { dump(snapshot: name, to: line) }
    for name in names where FileName.isPartial(name) {
      let part = PartialSnapshot(name, on: disk, of: identity.cluster)
      line("\(name): \(part?.byteCount ?? 0) bytes of a snapshot from another node can be used")
    }
    var findings: [Finding] = []
    for file in try SegmentFile.all(on: disk, of: identity, findings: &findings) {
      progress(file.name)
      try dump(file, to: line)
    }
    for finding in findings { line("\(finding)") }
  }

  private func dump(snapshot name: String, to line: (String) -> Void) {
    var reader = SnapshotReader(name, on: disk, of: identity.cluster)
    do throws(JournalError) {
      let stored = try reader.verify()
      let mark = stored.label.mark
      line(
        """
        \(name): \(stored.byteCount) bytes, state after entry \(mark.index) of term \(mark.term), \
        hash \(stored.label.stateHash)
        """
      )
    } catch {
      line("\(name): \(error)")
    }
  }

  private func dump(_ file: SegmentFile, to line: (String) -> Void) throws(JournalError) {
    guard let header = file.header else {
      return line("\(file.name): \(file.state == .unstarted ? "not started" : "header damaged")")
    }
    let packed = header.packed.map { ", packed through \($0.lastGroup)" } ?? ""
    line("\(file.name): first group \(header.firstGroup)\(packed), \(header.standing)")
    if let void = header.void {
      line("  void: from \(FileName.segment(void.segment)) byte \(void.offset) up to here")
    }
    let image = try file.read(from: disk, as: identity)
    var next = SegmentHeader.areaByteCount
    for offset in image.writtenCells(from: next) where offset >= next {
      guard case .valid(.header, _) = image.state(at: offset), let group = image.header(at: offset)
      else {
        line("  byte \(offset): \(image.state(at: offset))")
        continue
      }
      dump(group, at: offset, in: image, to: line)
      next = offset + group.byteCount
    }
  }

  private func dump(
    _ group: GroupHeader,
    at offset: Int,
    in image: SegmentImage,
    to line: (String) -> Void
  ) {
    line(
      """
        byte \(offset): group \(group.number), \(group.recordCount) records, \
      \(group.recordByteCount) bytes, durable through \(group.durableThrough), \(group.standing)
      """
    )
    let first = image.lastGroup == nil ? group.number : group.durableThrough + 1
    switch image.group(first, at: offset) {
    case .incomplete(let missing): line("    nothing was written at byte \(missing)")
    case .damaged(let damage): line("    \(damage)")
    case .complete(_, let bytes, _):
      do throws(WireError) {
        for record in try group.decode(bytes) { line("    \(record)") }
      } catch {
        line("    \(error)")
      }
    }
  }
}

extension Cell.State: CustomStringConvertible {
  var description: String {
    switch self {
    case .zero: "nothing was written"
    case .rotten: "bits are set where nothing was written"
    case .valid(let kind, let group): "\(kind) of group \(group), without what is before it"
    case .damaged: "damaged"
    }
  }
}

extension Standing: CustomStringConvertible {
  package var description: String {
    let promise = promised == .start ? "" : ", promised \(promised.index) of term \(promised.term)"
    return """
      term \(hardState.term) vote \(hardState.vote), last \(last.index) of term \(last.term), \
      committed \(commitHint)\(promise)
      """
  }
}

extension Record: CustomStringConvertible {
  package var description: String {
    switch self {
    case .entry(let entry):
      """
      entry \(entry.index) of term \(entry.term), \(entry.kind), time \(entry.time), \
      \(entry.payload.count) bytes
      """
    case .truncate(let index): "truncate from \(index)"
    case .reset(let place): "reset after \(place.index) of term \(place.term)"
    }
  }
}
