internal import Glibc
internal import RoostCLinux

/// An open file, read and written at positions.
package struct File: ~Copyable, Sendable {
  /// What a file is opened for.
  package enum Access: Sendable {
    case reading
    case writing
    /// For writing; it is made if it does not exist.
    case creating
    /// For writing past the page cache: positions, lengths and addresses are whole blocks.
    case direct
    /// For reading past the page cache, in the same way.
    case directReading
  }

  private let descriptor: Descriptor
  package let name: String

  init(adopting descriptor: consuming Descriptor, name: String) {
    self.descriptor = descriptor
    self.name = name
  }

  package var number: Int32 { descriptor.number }

  /// The length of the file.
  package func byteCount() throws(SystemError) -> Int {
    var status = stat()
    // SAFETY: the call fills the struct that it is given.
    guard unsafe fstat(number, &status) == 0 else { throw SystemError("stat \(name)") }
    return Int(status.st_size)
  }

  /// Reads `byteCount` bytes from `offset` on, or fewer where the file ends.
  package func read(at offset: Int, byteCount: Int) throws(SystemError) -> [UInt8] {
    var code: Int32 = 0
    // SAFETY: each call writes inside the part of the buffer that is not filled yet.
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, filled in
      while filled < byteCount {
        let rest = unsafe UnsafeMutableRawBufferPointer(
          rebasing: UnsafeMutableRawBufferPointer(buffer)[filled...]
        )
        let count = retryingInterrupted {
          unsafe pread(number, rest.baseAddress, rest.count, off_t(offset + filled))
        }
        if count < 0 { code = errno }
        if count <= 0 { break }
        filled += count
      }
    }
    guard code == 0 else { throw SystemError("read \(name)", errno: code) }
    return bytes
  }

  /// Reads into a buffer from `offset` on, and answers how many bytes there were.
  package func read(
    into buffer: UnsafeMutableRawBufferPointer,
    at offset: Int
  ) throws(SystemError) -> Int {
    // SAFETY: the call fills at most the buffer.
    let count = retryingInterrupted {
      unsafe pread(number, buffer.baseAddress, buffer.count, off_t(offset))
    }
    guard count >= 0 else { throw SystemError("read \(name)") }
    return count
  }

  /// Writes all of `bytes` at `offset`.
  package func write(_ bytes: [UInt8], at offset: Int) throws(SystemError) {
    var code: Int32 = 0
    // SAFETY: the pointer does not leave the closure.
    unsafe bytes.withUnsafeBytes { buffer in
      code = unsafe Self.write(buffer, to: number, at: offset)
    }
    guard code == 0 else { throw SystemError("write \(name)", errno: code) }
  }

  /// Writes all of `bytes` at `offset`; they stay valid during the call.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) {
    let code = unsafe Self.write(bytes, to: number, at: offset)
    guard code == 0 else { throw SystemError("write \(name)", errno: code) }
  }

  /// Goes on after short and interrupted writes; answers 0 or the system's number of the error.
  static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at offset: Int) -> Int32
  {
    var progress = WriteProgress(byteCount: bytes.count)
    do throws(SystemError) {
      while !progress.isComplete {
        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[progress.done...])
        let place = off_t(offset + progress.done)
        let count = unsafe pwrite(descriptor, rest.baseAddress, rest.count, place)
        try progress.take(count < 0 ? -Int(errno) : count)
      }
      return 0
    } catch {
      return error.errno
    }
  }

  /// Gives the file this length.
  package func resize(to byteCount: Int) throws(SystemError) {
    let result = retryingInterrupted { ftruncate(number, off_t(byteCount)) }
    guard result == 0 else { throw SystemError("resize \(name)") }
  }

  /// Makes content and length durable.
  package func sync() throws(SystemError) {
    // A failed sync is never tried again: the kernel forgets what it could not write.
    guard fdatasync(number) == 0 else { throw SystemError("sync \(name)") }
  }

  /// Lets the kernel read the file into the page cache beside what else is done.
  package func prefetch() {
    _ = posix_fadvise(number, 0, 0, POSIX_FADV_SEQUENTIAL)
    _ = posix_fadvise(number, 0, 0, POSIX_FADV_WILLNEED)
  }

  /// Forgets what the page cache holds of the file, so that the next read asks the disk.
  package func dropCache() {
    _ = posix_fadvise(number, 0, 0, POSIX_FADV_DONTNEED)
  }
}
