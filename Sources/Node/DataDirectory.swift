internal import RoostJournal
internal import RoostPlatform
internal import RoostRaft

/// A node's data directory while no node runs in it: for looking at, never for changing.
public struct DataDirectory {
  /// What a directory comes to.
  public enum Verdict: Equatable, Sendable {
    /// Everything is as it was written.
    case sound
    /// The last write was cut by a crash; a start cuts it off, and nobody was promised it.
    case tornTail
    /// Something is not as it was written; the lines say what a start would do about it.
    case damaged
    /// It can't be read as a data directory, or a node must not start with it.
    case refused
  }

  private let path: String

  /// The directory at a path.
  public init(at path: String) { self.path = path }

  /// Reads everything as a start would, and reports in sentences.
  ///
  /// - Parameters:
  ///   - line: Takes the report, line by line.
  ///   - progress: Takes the name of each file of the log before it is read.
  /// - Returns: What it comes to.
  public func check(
    line: (String) -> Void,
    progress: @escaping (String) -> Void = { _ in }
  ) -> Verdict {
    inspect(line) { (inspection) throws(JournalError) in
      let (recovered, verdict) = try inspection.check(progress: progress)
      let identity = inspection.identity
      line("node \(identity.node) of cluster \(identity.cluster)")
      line("term \(recovered.hardState.term), vote \(recovered.hardState.vote)")
      if let snapshot = recovered.snapshot {
        line("snapshot after entry \(snapshot.label.index), \(snapshot.byteCount) bytes")
      }
      if let part = recovered.incoming {
        let whole = part.snapshot
        line(
          "\(part.byteCount) of \(whole.byteCount) bytes of a snapshot after entry \(whole.mark.index) from another node"
        )
      }
      let last = recovered.entries.last?.position ?? recovered.base
      line("\(recovered.entries.count) entries, the last is \(last.index) of term \(last.term)")
      for finding in recovered.findings { line("\(finding)") }
      switch verdict {
      case .sound: return .sound
      case .tornTail: return .tornTail
      case .damaged: return .damaged
      }
    }
  }

  /// Hands out what stands in the files, whether it counts or not.
  ///
  /// - Parameters:
  ///   - line: Takes the lines, in the order of the files.
  ///   - progress: Takes the name of each file of the log before it is read.
  /// - Returns: Whether the files could be read; `sound` says nothing about what is in them.
  public func dump(
    line: (String) -> Void,
    progress: (String) -> Void = { _ in }
  ) -> Verdict {
    inspect(line) { (inspection) throws(JournalError) in
      try inspection.dump(to: line, progress: progress)
      return .sound
    }
  }

  private func inspect(
    _ line: (String) -> Void,
    _ body: (JournalInspection) throws(JournalError) -> Verdict
  ) -> Verdict {
    do throws(DiskError) {
      let disk = try InspectedDisk(at: path)
      do throws(JournalError) {
        return try body(try JournalInspection(of: disk))
      } catch {
        line("\(error)")
      }
    } catch {
      line("\(error)")
    }
    return .refused
  }
}

/// The files of a directory for reading alone.
private final class InspectedDisk: Disk {
  private let files: DataFiles

  init(at path: String) throws(DiskError) {
    files = try DataFiles(inspecting: path)
  }

  func list() throws(DiskError) -> [String] {
    do throws(SystemError) {
      return try files.list()
    } catch {
      throw DiskError("list", files.path, error)
    }
  }

  func byteCount(of name: String) throws(DiskError) -> Int {
    do throws(SystemError) {
      return try files.open(name, for: .reading).byteCount()
    } catch {
      throw DiskError("read", name, error)
    }
  }

  func read(_ name: String, at offset: Int, byteCount: Int) throws(DiskError) -> [UInt8] {
    do throws(SystemError) {
      return try files.open(name, for: .reading).read(at: offset, byteCount: byteCount)
    } catch {
      throw DiskError("read", name, error)
    }
  }

  func perform(_ operation: DiskOperation) throws(DiskError) {
    throw DiskError(operation: "change", file: files.path, reason: .readOnly, code: 0)
  }

  func submit(_ work: any DiskWork, number: UInt64) {
    preconditionFailure("a directory that is looked at is not changed")
  }

  func write(_ buffer: DiskBuffer, to name: String, at offset: Int, number: UInt64) {
    preconditionFailure("a directory that is looked at is not changed")
  }

  func takeCompletions() -> [DiskCompletion] { [] }
}
