/// One directory of files as a ``Journal`` needs it: real ones, or a simulated disk.
///
/// Two ways lead in. While a journal is opened, operations are performed at once and may throw. While
/// it runs, they are submitted under a number and answered later, so that nobody ever waits: the log's
/// own writes by ``write(_:to:at:number:)``, everything else as a list of operations that runs beside
/// them, in order, up to the first that fails. Nothing orders one number against another.
///
/// A disk belongs to one thread, and to one process: whoever makes one takes the directory's lock.
package protocol Disk: ReadableFiles, AnyObject {
  /// The names of all files, sorted.
  func list() throws(DiskError) -> [String]

  /// The length of a file.
  func byteCount(of name: String) throws(DiskError) -> Int

  /// How many of the log's writes are best under way at once.
  var writesAtOnce: Int { get }

  /// Says that all of a file will be read soon.
  func expectRead(of name: String)

  /// Performs an operation before it returns.
  func perform(_ operation: DiskOperation) throws(DiskError)

  /// Starts work that is performed in order, beside the log's writes and in turns with other such work.
  func submit(_ work: any DiskWork, number: UInt64)

  /// Starts a write into an existing file that is durable when it completes.
  ///
  /// Position and length are multiples of the journal's unit, and the bytes stay as they are until the
  /// completion is taken. The file has its length already: the write never makes it longer.
  func write(_ buffer: DiskBuffer, to name: String, at offset: Int, number: UInt64)

  /// What was completed since the last call, in the order in which it happened.
  func takeCompletions() -> [DiskCompletion]
}

extension Disk {
  package var writesAtOnce: Int { 2 }

  package func expectRead(of name: String) {}

  /// Performs operations in order before it returns.
  package func perform(_ operations: [DiskOperation]) throws(DiskError) {
    for operation in operations { try perform(operation) }
  }
}

/// Files whose bytes can be read.
package protocol ReadableFiles {
  /// The bytes of a file from `offset` on: `byteCount` of them, or fewer where the file ends.
  func read(_ name: String, at offset: Int, byteCount: Int) throws(DiskError) -> [UInt8]
}

/// Operations that are made one after the other, on the thread that performs them.
package protocol DiskWork: Sendable {
  /// The next operation, or nil after the last.
  ///
  /// It may depend on what stands in the files, as the operations before it have left them.
  mutating func next(reading files: any ReadableFiles) -> DiskOperation?
}

/// Operations that are known beforehand.
package struct OperationList: DiskWork {
  private var operations: ArraySlice<DiskOperation>

  package init(_ operations: [DiskOperation]) { self.operations = operations[...] }

  package mutating func next(reading files: any ReadableFiles) -> DiskOperation? {
    operations.popFirst()
  }
}

/// One change of a directory.
package enum DiskOperation: Equatable, Sendable {
  /// Makes the file if need be, gives it exactly this length, and writes zeros over all of it, so that
  /// later writes change data alone.
  case fill(String, byteCount: Int)
  /// Writes bytes, making the file (or making it longer) if need be.
  case write(String, offset: Int, bytes: [UInt8])
  /// Makes the content and the length of a file durable.
  case sync(String)
  /// Gives a file another name, replacing what had it.
  case rename(String, to: String)
  /// Removes a file; one that does not exist is no error.
  case remove(String)
  /// Makes names durable: what was made, renamed and removed.
  case syncDirectory
  /// Compares what is on the medium from `offset` on with a checksum of `byteCount` bytes.
  case verify(String, offset: Int, byteCount: Int, checksum: UInt32)
}

/// The answer to what was submitted under a number.
package struct DiskCompletion: Sendable {
  package let number: UInt64
  /// The work as it was after its last operation, if it was work.
  package let work: (any DiskWork)?
  /// Why it failed.
  ///
  /// Then nothing is known about what is on the disk.
  package let error: DiskError?

  package init(number: UInt64, work: (any DiskWork)? = nil, error: DiskError?) {
    self.number = number
    self.work = work
    self.error = error
  }
}

/// Why an operation on a file failed.
package struct DiskError: Error, Equatable, Sendable {
  /// What a caller can tell apart.
  package enum Reason: Equatable, Sendable {
    case noSpace
    case missing
    case readOnly
    case forbidden
    case locked
    case mismatch
    case failed
  }

  package let operation: String
  package let file: String
  package let reason: Reason
  /// The system's number for it, 0 if there is none.
  package let code: Int32

  package init(operation: String, file: String, reason: Reason, code: Int32) {
    self.operation = operation
    self.file = file
    self.reason = reason
    self.code = code
  }
}

extension DiskError: CustomStringConvertible {
  package var description: String {
    let what =
      switch reason {
      case .noSpace: "there is no space left; free some, or give the directory a larger disk"
      case .missing: "it does not exist"
      case .readOnly: "the file system is read-only; mount it for writing, and look why it is so"
      case .forbidden: "permission is denied; the directory must belong to the user of the server"
      case .locked: "another process has it; each server needs a data directory of its own"
      case .mismatch: "it reads back other bytes than were written; the disk is failing"
      case .failed: "the system reports an error"
      }
    return "cannot \(operation) \(file): \(what)" + (code == 0 ? "" : " (errno \(code))")
  }
}
