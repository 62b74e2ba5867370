import Foundation
import RoostPlatform
import Testing

/// The lock of a directory: one process has it, and lets it go with the file.
@Suite struct DirectoryTests {
  private static func withDirectory(_ body: (borrowing Directory) throws -> Void) throws {
    let path = NSTemporaryDirectory() + "/roost-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: path) }
    try body(try Directory(at: path, creating: true))
  }

  @Test func aLockThatIsHeldIsRefused() throws {
    try Self.withDirectory { directory in
      let held = try directory.lock("lock")
      let error = #expect(throws: SystemError.self) { _ = try directory.lock("lock").number }
      #expect(error?.isLocked == true)
      _ = held.number
    }
  }

  /// A child has copies of all descriptors from its start until it becomes another program, those of locks too.
  @Test func childrenThatStartDoNotKeepALockThatWasLetGo() async throws {
    let children = Task {
      while !Task.isCancelled { _ = try await ChildProcess(["true"], inOwnGroup: false).end() }
    }
    try Self.withDirectory { directory in
      for _ in 0..<2000 { _ = try directory.lock("lock").number }
    }
    children.cancel()
    _ = try await children.value
  }
}
