import Glibc
import RoostPlatform
import Testing

/// A system call may write less than it was given, and be interrupted: nothing is left out, written twice, or said to be there.
@Suite struct WriteProgressTests {
  /// Writes as `File` and the ring do, with a system that does `most` bytes at once and is interrupted every third time.
  private static func write(_ bytes: [UInt8], most: Int) throws(SystemError) -> [UInt8] {
    var written: [UInt8] = []
    var calls = 0
    var progress = WriteProgress(byteCount: bytes.count)
    while !progress.isComplete {
      calls += 1
      if calls % 3 == 0 {
        try progress.take(-Int(calls % 2 == 0 ? EINTR : EAGAIN))
        continue
      }
      let part = bytes[progress.done...].prefix(most)
      written += part
      try progress.take(part.count)
    }
    return written
  }

  @Test(arguments: [1, 7, 512, 4096, 100_000])
  func shortAndInterruptedWritesAreContinued(most: Int) throws {
    let bytes = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 * 31 >> 2) }
    #expect(try Self.write(bytes, most: most) == bytes)
    #expect(try Self.write([], most: most) == [])
  }

  @Test func aWriteThatDoesNothingIsAnError() {
    var progress = WriteProgress(byteCount: 10)
    #expect(throws: SystemError("write", errno: EIO)) { try progress.take(0) }
    #expect(throws: SystemError("write", errno: ENOSPC)) { try progress.take(-Int(ENOSPC)) }
    #expect(progress.done == 0)
  }

  /// The kernel writes the first page, which is all that it can read; the rest is tried, and why it can't be written is told.
  @Test func aWriteThatTheKernelCutsShortIsNotTakenForWhole() throws {
    let path = "/tmp/roost-short-\(getpid())"
    let directory = try Directory(at: path, creating: true)
    defer {
      try? directory.remove("file")
      _ = unsafe rmdir(path)
    }
    let page = 4096
    // SAFETY: the two pages are ours until they are given back, and the second is never read from here.
    let mapped = unsafe mmap(
      nil,
      2 * page,
      PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS,
      -1,
      0
    )
    guard let memory = unsafe mapped else {
      Issue.record("there is no memory")
      return
    }
    defer { unsafe munmap(memory, 2 * page) }
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 7, count: page)
    let protection = unsafe mprotect(memory + page, page, PROT_NONE)
    try #require(protection == 0)
    let file = try directory.open("file", for: .creating)
    var failure: SystemError?
    do throws(SystemError) {
      try unsafe file.write(UnsafeRawBufferPointer(start: memory, count: 2 * page), at: 0)
    } catch {
      failure = error
    }
    #expect(failure?.errno == EFAULT)
    let written = try directory.open("file", for: .reading).read(at: 0, byteCount: 2 * page)
    #expect(written == [UInt8](repeating: 7, count: page))
  }
}
