internal import Glibc
internal import RoostCLinux

/// An open directory: its files by name, wherever it may be moved to.
package struct Directory: ~Copyable, Sendable {
  private let descriptor: Descriptor
  package let path: String

  /// Opens a directory; `creating` makes it, for its owner alone, in a parent that exists.
  package init(at path: String, creating: Bool = false) throws(SystemError) {
    if creating, unsafe mkdir(path, 0o700) != 0, errno != EEXIST {
      throw SystemError("make directory \(path)")
    }
    let number = unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { throw SystemError("open directory \(path)") }
    descriptor = Descriptor(adopting: number)
    self.path = path
  }

  /// The names of all files, in no order.
  package func names() throws(SystemError) -> [String] {
    let copy = fcntl(descriptor.number, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0 else { throw SystemError("list \(path)") }
    guard let stream = unsafe fdopendir(copy) else {
      close(copy)
      throw SystemError("list \(path)")
    }
    defer { unsafe closedir(stream) }
    unsafe rewinddir(stream)
    var names: [String] = []
    while true {
      errno = 0
      guard let item = unsafe readdir(stream) else { break }
      // SAFETY: the name in the item is terminated, and is copied before the next call.
      let name = unsafe withUnsafePointer(to: &item.pointee.d_name) { field in
        unsafe field.withMemoryRebound(to: CChar.self, capacity: 256) { text in
          unsafe String(cString: text)
        }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    guard errno == 0 else { throw SystemError("list \(path)") }
    return names
  }

  /// Opens a file in the directory.
  package func open(_ name: String, for access: File.Access) throws(SystemError) -> File {
    let flags =
      switch access {
      case .reading: ROOST_FILE_READ
      case .writing: ROOST_FILE_WRITE
      case .creating: ROOST_FILE_WRITE | ROOST_FILE_CREATE
      case .direct: ROOST_FILE_WRITE | ROOST_FILE_DIRECT
      case .directReading: ROOST_FILE_READ | ROOST_FILE_DIRECT
      }
    let number = retryingInterrupted {
      unsafe roost_open_file(descriptor.number, name, UInt32(flags))
    }
    guard number >= 0 else { throw SystemError("open \(name)") }
    return File(adopting: Descriptor(adopting: number), name: name)
  }

  /// How often a lock that somebody has is tried again, and how long that takes in microseconds.
  private static let lockTries = 50
  private static let lockPause: UInt32 = 10_000

  /// Makes a file and locks it against other processes, for as long as it is open.
  ///
  /// A lock that is let go within half a second is waited for: a process may be about to end, and a child that is being started
  /// has copies of what its parent had open until it becomes another program.
  package func lock(_ name: String) throws(SystemError) -> File {
    let file = try open(name, for: .creating)
    var triesLeft = Self.lockTries
    while flock(file.number, LOCK_EX | LOCK_NB) != 0 {
      let error = SystemError("lock \(path)")
      guard error.isLocked, triesLeft > 0 else { throw error }
      triesLeft -= 1
      usleep(Self.lockPause)
    }
    return file
  }

  /// Gives a file another name, replacing what had it.
  package func rename(_ name: String, to newName: String) throws(SystemError) {
    let result = unsafe renameat(descriptor.number, name, descriptor.number, newName)
    guard result == 0 else { throw SystemError("rename \(name)") }
  }

  /// Removes a file; one that does not exist is no error.
  package func remove(_ name: String) throws(SystemError) {
    guard unsafe unlinkat(descriptor.number, name, 0) == 0 || errno == ENOENT else {
      throw SystemError("remove \(name)")
    }
  }

  /// Makes names durable.
  package func sync() throws(SystemError) {
    guard fsync(descriptor.number) == 0 else { throw SystemError("sync \(path)") }
  }
}

extension SystemError {
  package var isOutOfSpace: Bool { errno == ENOSPC || errno == EDQUOT || errno == EFBIG }
  package var isMissing: Bool { errno == ENOENT || errno == ENOTDIR }
  package var isReadOnly: Bool { errno == EROFS }
  package var isForbidden: Bool { errno == EACCES || errno == EPERM }
  package var isLocked: Bool { errno == EWOULDBLOCK }
  package var isNotSupported: Bool { errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS }

  /// The number of a device's failure.
  package static var inputOutput: Int32 { EIO }
  /// Whether a call with this error number should just be made again.
  package static func isPassing(_ errno: Int32) -> Bool { errno == EINTR || errno == EAGAIN }
}
