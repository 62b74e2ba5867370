import Foundation
import RoostClient
import Testing

/// Real processes whose disk fails, where this process may make it so.
@Suite(.serialized) struct FailingDiskTests {
  /// A file that may not be changed any more, even by who has it open: the nearest to a broken disk that needs none.
  private static func setChangeable(_ isChangeable: Bool, _ path: String) -> Bool {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/chattr")
    process.arguments = [isChangeable ? "-i" : "+i", path]
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }

  @Test(.timeLimit(.minutes(2)))
  func aFailedWriteEndsTheProcessAndARestartReadsWhatIsTrue() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    _ = try await servers.leader()
    let cluster = try servers.client(timeout: .seconds(2))
    for number in 0..<20 {
      try await cluster.put(Array("key \(number)".utf8), Array("\(number)".utf8))
    }
    let log = servers.folder + "/d1/0000000000000001.log"
    guard Self.setChangeable(false, log) else { return print("no file can be locked here") }
    defer { _ = Self.setChangeable(true, log) }
    await #expect(throws: (any Error).self) {
      try await cluster.put(Array("lost".utf8), Array("lost".utf8))
    }
    #expect(servers.waitForEnd(of: 1) == 74)
    #expect(servers.log(1).contains("the log can't be written"))
    #expect(Self.setChangeable(true, log))
    try servers.start(1)
    _ = try await servers.leader()
    let again = try servers.client()
    for number in 0..<20 {
      let found = try await again.get(Array("key \(number)".utf8))
      #expect(found?.value == Array("\(number)".utf8))
    }
  }
}
