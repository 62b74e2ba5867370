package import RoostJournal
internal import RoostPlatform
internal import Synchronization

/// A journal's disk over the files of a directory, which it keeps locked for as long as it lives.
///
/// The log is written past the page cache through io_uring where the kernel and the file system permit
/// it; else by write and fdatasync on a thread of its own. Everything else is done by a second thread,
/// one operation of each piece of work in turn. Neither ever makes the caller wait.
package final class FileDisk: Disk {
  /// How the log gets onto the disk.
  package enum BackEnd: Equatable, Sendable {
    case ring
    /// The reason says why not the ring.
    case thread(reason: String)
  }

  private let files: DataFiles
  private let completions: Completions
  private let background: Worker
  private let log: any LogWriter
  /// How the log gets onto the disk.
  package let backEnd: BackEnd

  /// Writes through the ring overlap on the disk; those of the thread follow each other, and had better wait together.
  ///
  /// Four at once are faster than two through the ring, and one is faster than two on the thread.
  package var writesAtOnce: Int { backEnd == .ring ? 4 : 1 }

  /// How much was started and is not taken yet.
  private var startedCount = 0

  /// Opens, and if need be makes, a data directory, and locks it.
  package init(at path: String, ring: Bool = true) throws(DiskError) {
    files = try DataFiles(at: path)
    do throws(SystemError) {
      completions = try Completions()
      background = try Worker(named: "journal-files")
      if !ring {
        backEnd = .thread(reason: "as configured")
      } else if let refusal = RingWriter.refusal(in: files) {
        backEnd = .thread(reason: refusal)
      } else {
        backEnd = .ring
      }
      log =
        backEnd == .ring
        ? try RingWriter(files: files, completions: completions)
        : try ThreadWriter(files: files, completions: completions)
    } catch {
      throw DiskError("open", path, error)
    }
  }

  /// Readable while ``takeCompletions()`` has something to tell.
  package var notificationDescriptor: Int32 { completions.descriptor }

  package func list() throws(DiskError) -> [String] {
    do throws(SystemError) {
      return try files.list()
    } catch {
      throw DiskError("list", files.path, error)
    }
  }

  package func byteCount(of name: String) throws(DiskError) -> Int {
    do throws(SystemError) {
      return try files.open(name, for: .reading).byteCount()
    } catch {
      throw DiskError("read", name, error)
    }
  }

  package func read(
    _ name: String,
    at offset: Int,
    byteCount: Int
  ) throws(DiskError) -> [UInt8] {
    try files.read(name, at: offset, byteCount: byteCount)
  }

  package func expectRead(of name: String) {
    try? files.open(name, for: .reading).prefetch()
  }

  package func perform(_ operation: DiskOperation) throws(DiskError) {
    try files.perform(operation)
  }

  package func submit(_ work: any DiskWork, number: UInt64) {
    startedCount += 1
    FileDisk.go(on: work, number: number, on: background.queue, files: files, into: completions)
  }

  /// Performs one operation, and lines up for the next one behind whatever else waits.
  private static func go(
    on work: any DiskWork,
    number: UInt64,
    on queue: Worker.Queue,
    files: DataFiles,
    into completions: Completions
  ) {
    queue.perform {
      var work = work
      do throws(DiskError) {
        guard let operation = work.next(reading: files) else {
          return completions.add(DiskCompletion(number: number, work: work, error: nil))
        }
        try files.perform(operation)
        go(on: work, number: number, on: queue, files: files, into: completions)
      } catch {
        completions.add(DiskCompletion(number: number, work: work, error: error))
      }
    }
  }

  package func write(_ buffer: DiskBuffer, to name: String, at offset: Int, number: UInt64) {
    startedCount += 1
    log.write(buffer, to: name, at: offset, number: number)
  }

  /// Ends the readiness of ``notificationDescriptor``; to be called when it is ready, before ``takeCompletions()``.
  ///
  /// Completions are also looked for when nothing was signalled, which costs no system call, and the kernel may signal a write
  /// after it was seen to be complete. So taking them does not end the readiness.
  package func clearNotification() { completions.clearSignal() }

  package func takeCompletions() -> [DiskCompletion] {
    // Asked every turn of the loop: no system call while there is nothing to wait for.
    guard startedCount > 0 else { return [] }
    let others = completions.take()
    for completion in others { log.forget(completion.number) }
    let taken = log.takeCompletions() + others
    startedCount -= taken.count
    return taken
  }
}

extension FileDisk.BackEnd: CustomStringConvertible {
  package var description: String {
    switch self {
    case .ring: "io_uring"
    case .thread(let reason): "fdatasync on a thread (\(reason))"
    }
  }
}

/// What threads have done, until the disk's owner takes it.
final class Completions: Sendable {
  private let list = Mutex<[DiskCompletion]>([])
  let signal: Signal

  init() throws(SystemError) { signal = try Signal() }

  var descriptor: Int32 { signal.descriptor }

  func add(_ completion: DiskCompletion) {
    list.withLock { $0.append(completion) }
    signal.raise()
  }

  func clearSignal() { signal.clear() }

  func take() -> [DiskCompletion] {
    list.withLock { list in
      defer { list.removeAll() }
      return list
    }
  }
}
