import RoostJournal
import RoostPlatform
import RoostWire

/// The files of one data directory, for whichever thread has work on them.
final class DataFiles: ReadableFiles, Sendable {
  private let directory: Directory
  /// Held for as long as this lives, so that no other process opens the directory.
  private let lock: File?

  /// Opens a directory that exists, without making anything in it.
  init(inspecting path: String) throws(DiskError) {
    do throws(SystemError) {
      directory = try Directory(at: path)
      lock = try directory.names().contains("lock") ? directory.lock("lock") : nil
    } catch {
      throw DiskError("open", path, error)
    }
  }

  init(at path: String) throws(DiskError) {
    do throws(SystemError) {
      directory = try Directory(at: path, creating: true)
      lock = try directory.lock("lock")
    } catch {
      throw DiskError("open", path, error)
    }
  }

  var path: String { directory.path }

  func list() throws(SystemError) -> [String] { try directory.names().sorted() }

  func open(_ name: String, for access: File.Access) throws(SystemError) -> File {
    try directory.open(name, for: access)
  }

  func read(
    _ name: String,
    at offset: Int,
    byteCount: Int
  ) throws(DiskError) -> [UInt8] {
    do throws(SystemError) {
      return try open(name, for: .reading).read(at: offset, byteCount: byteCount)
    } catch {
      throw DiskError("read", name, error)
    }
  }

  func perform(_ operation: DiskOperation) throws(DiskError) {
    do throws(SystemError) {
      switch operation {
      case .fill(let name, let byteCount): try fill(name, byteCount: byteCount)
      case .write(let name, let offset, let bytes):
        try directory.open(name, for: .creating).write(bytes, at: offset)
      case .sync(let name): try directory.open(name, for: .writing).sync()
      case .rename(let name, let newName): try directory.rename(name, to: newName)
      case .remove(let name): try directory.remove(name)
      case .syncDirectory: try directory.sync()
      case .verify(let name, let offset, let byteCount, let checksum):
        guard try self.checksum(of: name, from: offset, byteCount: byteCount) == checksum else {
          throw SystemError("verify \(name)", errno: 0)
        }
      }
    } catch {
      throw DiskError(operation, in: path, error)
    }
  }

  /// Past the page cache where that is possible: nobody reads zeros again.
  private func fill(_ name: String, byteCount: Int) throws(SystemError) {
    try directory.open(name, for: .creating).resize(to: byteCount)
    let zeros = DiskBuffer(capacity: 1 << 20)
    do throws(SystemError) {
      try write(zeros, over: byteCount, of: try directory.open(name, for: .direct))
    } catch  where error.isNotSupported {
      try write(zeros, over: byteCount, of: try directory.open(name, for: .writing))
    }
  }

  private func write(
    _ zeros: DiskBuffer,
    over byteCount: Int,
    of file: borrowing File
  ) throws(SystemError) {
    // Nothing was put into the buffer, so it is zero as it came.
    var offset = 0
    while offset < byteCount {
      zeros.reset(byteCount: min(zeros.capacity, byteCount - offset))
      // SAFETY: the buffer outlives the call.
      try unsafe file.write(zeros.unsafeBytes, at: offset)
      offset += zeros.byteCount
    }
  }

  /// The checksum of what is on the medium; of the whole file, or to its end.
  ///
  /// Past the page cache where that is possible: nothing that was only written there can be taken for the medium, and a long
  /// snapshot does not push everything else out.
  private func checksum(
    of name: String,
    from offset: Int,
    byteCount: Int
  ) throws(SystemError) -> UInt32 {
    guard offset % DiskBuffer.alignment == 0 else {
      return try checksumThroughCache(of: name, from: offset, byteCount: byteCount)
    }
    do throws(SystemError) {
      let file = try directory.open(name, for: .directReading)
      let buffer = DiskBuffer(capacity: 1 << 20)
      buffer.reset(byteCount: buffer.capacity)
      var checksum = CRC32C()
      var done = 0
      while done < byteCount {
        // SAFETY: the buffer outlives the call.
        let count = unsafe try file.read(into: buffer.unsafeMutableBytes, at: offset + done)
        if count == 0 { break }
        buffer.withSpan {
          checksum.update(with: $0.extracting(first: min(count, byteCount - done)))
        }
        done += count
      }
      return checksum.value
    } catch  where error.isNotSupported {
      return try checksumThroughCache(of: name, from: offset, byteCount: byteCount)
    }
  }

  private func checksumThroughCache(
    of name: String,
    from offset: Int,
    byteCount: Int
  ) throws(SystemError) -> UInt32 {
    let file = try directory.open(name, for: .reading)
    file.dropCache()
    var checksum = CRC32C()
    var done = 0
    while done < byteCount {
      let part = try file.read(at: offset + done, byteCount: min(1 << 20, byteCount - done))
      if part.isEmpty { break }
      checksum.update(with: part.span)
      done += part.count
    }
    return checksum.value
  }
}

extension DiskError {
  init(_ operation: String, _ file: String, _ error: SystemError) {
    let reason: Reason =
      error.isOutOfSpace
      ? .noSpace
      : error.isMissing
        ? .missing
        : error.isReadOnly
          ? .readOnly : error.isForbidden ? .forbidden : error.isLocked ? .locked : .failed
    self.init(operation: operation, file: file, reason: reason, code: error.errno)
  }

  init(_ operation: DiskOperation, in path: String, _ error: SystemError) {
    switch operation {
    case .fill(let name, _): self.init("fill", name, error)
    case .write(let name, _, _): self.init("write", name, error)
    case .sync(let name): self.init("sync", name, error)
    case .rename(let name, _): self.init("rename", name, error)
    case .remove(let name): self.init("remove", name, error)
    case .syncDirectory: self.init("sync", path, error)
    case .verify(let name, _, _, _):
      self = DiskError(
        operation: "verify",
        file: name,
        reason: error.errno == 0 ? .mismatch : .failed,
        code: error.errno
      )
    }
  }
}
