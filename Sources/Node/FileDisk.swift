package import RoostJournal
internal import RoostPlatform

/// A journal's disk over the files of a directory, which it keeps locked for as long as it lives.
package final class FileDisk: Disk {
  private let files: DataFiles
  private let signal: Signal
  private var completions: [DiskCompletion] = []

  /// Opens, and if need be makes, a data directory, and locks it.
  package init(at path: String) throws(DiskError) {
    files = try DataFiles(at: path)
    do throws(SystemError) {
      signal = try Signal()
    } catch {
      throw DiskError("open", path, error)
    }
  }

  /// Readable while ``takeCompletions()`` has something to tell.
  package var notificationDescriptor: Int32 { signal.descriptor }

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
    do throws(SystemError) {
      return try files.open(name, for: .reading).read(at: offset, byteCount: byteCount)
    } catch {
      throw DiskError("read", name, error)
    }
  }

  package func perform(_ operation: DiskOperation) throws(DiskError) {
    try files.perform(operation)
  }

  package func submit(_ work: any DiskWork, number: UInt64) {
    complete(number) { () throws(DiskError) in
      var work = work
      while let operation = work.next() { try files.perform(operation) }
    }
  }

  package func write(_ buffer: DiskBuffer, to name: String, at offset: Int, number: UInt64) {
    complete(number) { () throws(DiskError) in
      do throws(SystemError) {
        let file = try files.open(name, for: .writing)
        // SAFETY: the buffer outlives the call.
        try unsafe file.write(buffer.unsafeBytes, at: offset)
        try file.sync()
      } catch {
        throw DiskError("write", name, error)
      }
    }
  }

  package func takeCompletions() -> [DiskCompletion] {
    signal.clear()
    defer { completions.removeAll() }
    return completions
  }

  private func complete(_ number: UInt64, _ body: () throws(DiskError) -> Void) {
    do throws(DiskError) {
      try body()
      completions.append(DiskCompletion(number: number, error: nil))
    } catch {
      completions.append(DiskCompletion(number: number, error: error))
    }
    signal.raise()
  }
}
