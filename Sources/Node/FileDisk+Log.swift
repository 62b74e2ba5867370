import RoostJournal
import RoostPlatform

/// How the writes of the log get onto the disk.
protocol LogWriter: AnyObject {
  func write(_ buffer: DiskBuffer, to name: String, at offset: Int, number: UInt64)
  /// What this writer itself has completed.
  func takeCompletions() -> [DiskCompletion]
  /// Lets go what was kept for a write that is complete.
  func forget(_ number: UInt64)
}

/// A file that stays open while the log is in it.
private final class OpenFile: Sendable {
  let file: File

  init(_ file: consuming File) { self.file = file }
}

/// The file of the log that was written to last, opened past the page cache.
private struct OpenFiles {
  private static let limit = 1
  private var open: [(name: String, file: OpenFile)] = []
  /// Whether files may be opened through the page cache where the file system knows no other way.
  let mayCache: Bool

  init(mayCache: Bool) { self.mayCache = mayCache }

  mutating func file(_ name: String, in files: DataFiles) throws(SystemError) -> OpenFile {
    if let known = open.last(where: { $0.name == name }) { return known.file }
    let file = OpenFile(try openFile(name, in: files))
    if open.count == Self.limit { open.removeFirst() }
    open.append((name, file))
    return file
  }

  private func openFile(_ name: String, in files: DataFiles) throws(SystemError) -> File {
    do throws(SystemError) {
      return try files.open(name, for: .direct)
    } catch {
      guard mayCache, error.isNotSupported else { throw error }
      return try files.open(name, for: .writing)
    }
  }
}

/// Writes past the page cache through io_uring: no thread, and several may be under way.
final class RingWriter: LogWriter {
  /// One write that the kernel has.
  private struct UnderWay {
    let buffer: DiskBuffer
    let file: OpenFile
    let offset: Int
    var progress: WriteProgress
  }

  private let files: DataFiles
  private let ring: IOUring
  private var open = OpenFiles(mayCache: false)
  private var underWay: [UInt64: UnderWay] = [:]
  private var failed: [DiskCompletion] = []
  private let completions: Completions

  init(files: DataFiles, completions: Completions) throws(SystemError) {
    self.files = files
    self.completions = completions
    ring = try IOUring(signalling: completions.signal)
  }

  /// The kernel may still read from the buffers: none is let go before it is done.
  deinit {
    while !underWay.isEmpty, let (number, _) = ring.reap(waiting: true) {
      underWay[number] = nil
    }
  }

  func write(_ buffer: DiskBuffer, to name: String, at offset: Int, number: UInt64) {
    do throws(SystemError) {
      let file = try open.file(name, in: files)
      let progress = WriteProgress(byteCount: buffer.byteCount)
      underWay[number] = UnderWay(buffer: buffer, file: file, offset: offset, progress: progress)
      try start(number)
    } catch {
      fail(number, error)
    }
  }

  private func start(_ number: UInt64) throws(SystemError) {
    guard let write = underWay[number] else { return }
    // SAFETY: `underWay` holds the buffer until the kernel has completed the write.
    try unsafe ring.write(
      UnsafeRawBufferPointer(rebasing: write.buffer.unsafeBytes[write.progress.done...]),
      to: write.file.file,
      at: write.offset + write.progress.done,
      number: number
    )
  }

  private func fail(_ number: UInt64, _ error: SystemError) {
    let name = underWay.removeValue(forKey: number)?.file.file.name ?? "the log"
    failed.append(DiskCompletion(number: number, error: DiskError("write", name, error)))
    completions.signal.raise()
  }

  func takeCompletions() -> [DiskCompletion] {
    var taken: [DiskCompletion] = []
    while let (number, result) = ring.reap() {
      guard var write = underWay[number] else { continue }
      do throws(SystemError) {
        try write.progress.take(Int(result))
        underWay[number] = write
        if !write.progress.isComplete {
          try start(number)
        } else {
          underWay[number] = nil
          taken.append(DiskCompletion(number: number, error: nil))
        }
      } catch {
        fail(number, error)
      }
    }
    defer { failed.removeAll() }
    return taken + failed
  }

  func forget(_ number: UInt64) {}
}

extension RingWriter {
  private static let probe = "probe.new"

  /// Why the ring can't be used here; nil if a write through it worked.
  static func refusal(in files: DataFiles) -> String? {
    defer { try? files.perform(.remove(probe)) }
    do throws(DiskError) {
      try files.perform(.fill(probe, byteCount: DiskBuffer.alignment))
    } catch {
      return "\(error)"
    }
    do throws(SystemError) {
      let ring = try IOUring(signalling: try Signal())
      let file = try files.open(probe, for: .direct)
      let buffer = DiskBuffer(capacity: DiskBuffer.alignment)
      buffer.reset(byteCount: DiskBuffer.alignment)
      // SAFETY: the buffer lives until the completion was taken.
      try unsafe ring.write(buffer.unsafeBytes, to: file, at: 0, number: 1)
      let result = ring.reap(waiting: true)?.result ?? 0
      guard Int(result) == buffer.byteCount else {
        throw SystemError("io_uring write", errno: result < 0 ? -result : SystemError.inputOutput)
      }
      return nil
    } catch {
      return "\(error)"
    }
  }
}

/// Writes and syncs on a thread of its own.
final class ThreadWriter: LogWriter {
  private let files: DataFiles
  private let completions: Completions
  private let worker: Worker
  private var open = OpenFiles(mayCache: true)
  /// The buffers of the writes that the thread has.
  private var underWay: [UInt64: DiskBuffer] = [:]

  init(files: DataFiles, completions: Completions) throws(SystemError) {
    self.files = files
    self.completions = completions
    worker = try Worker(named: "journal-log")
  }

  func write(_ buffer: DiskBuffer, to name: String, at offset: Int, number: UInt64) {
    let completions = completions
    do throws(SystemError) {
      let file = try open.file(name, in: files)
      underWay[number] = buffer
      // SAFETY: `underWay` holds the buffer, and its owner leaves it alone, until the completion is taken.
      let shared = unsafe SharedBytes(buffer.unsafeBytes)
      worker.queue.perform {
        let error = ThreadWriter.write(shared, to: file, at: offset)
        completions.add(DiskCompletion(number: number, error: error))
      }
    } catch {
      completions.add(DiskCompletion(number: number, error: DiskError("open", name, error)))
    }
  }

  private static func write(
    _ shared: SharedBytes,
    to open: OpenFile,
    at offset: Int
  ) -> DiskError? {
    do throws(SystemError) {
      // SAFETY: whoever shares the bytes keeps them until this is done.
      try unsafe open.file.write(shared.bytes, at: offset)
      try open.file.sync()
      return nil
    } catch {
      return DiskError("write", open.file.name, error)
    }
  }

  func takeCompletions() -> [DiskCompletion] { [] }

  func forget(_ number: UInt64) { underWay[number] = nil }
}
