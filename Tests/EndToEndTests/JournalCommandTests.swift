import Foundation
import RoostClient
import Testing

/// `kvctl journal` on the directory of a real server.
@Suite struct JournalCommandTests {
  @Test(.timeLimit(.minutes(1)))
  func aDirectoryIsCheckedAndDumpedFromTheShell() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    let cluster = try servers.client()
    for number in 0..<20 { try await cluster.put(Array("k\(number)".utf8), [1, 2, 3]) }
    let status = try #require(await cluster.status().first?.status)
    #expect(status.journal == "io_uring" || status.journal.hasPrefix("fdatasync on a thread"))

    let path = "\(servers.folder)/d1"
    let locked = try Kvctl(["journal", "check", path], endpoints: [])
    #expect(locked.code == 1 && locked.output.contains("another process"), "\(locked.output)")
    #expect(servers.stop(1) == 0)
    let sound = try Kvctl(["journal", "check", path], endpoints: [])
    #expect(sound.code == 0, "\(sound.output)")
    #expect(sound.output.contains("entries, the last is") && sound.output.contains("node 1 of"))
    #expect(sound.complaint.contains("reading 0000000000000001.log"))
    let dump = try Kvctl(["journal", "dump", path], endpoints: [])
    #expect(dump.code == 0 && dump.output.contains("entry 2 of term"), "\(dump.output)")
    #expect(dump.complaint.contains("reading 0000000000000001.log"))

    let log = URL(filePath: "\(path)/0000000000000001.log")
    let file = try FileHandle(forUpdating: log)
    try file.seek(toOffset: 4096 + 100)
    let byte = try #require(try file.read(upToCount: 1)?.first)
    try file.seek(toOffset: 4096 + 100)
    try file.write(contentsOf: Data([byte ^ 16]))
    try file.close()
    let damaged = try Kvctl(["journal", "check", path], endpoints: [])
    #expect(damaged.code == 9, "\(damaged.output)")
    #expect(damaged.output.contains("0000000000000001.log"), "the file is named")
  }
}
