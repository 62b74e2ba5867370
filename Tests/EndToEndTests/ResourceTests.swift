import Foundation
import RoostClient
import RoostWire
import Synchronization
import TestSupport
import Testing

/// Descriptors that run out, lines that are full, and a stop in the middle of work.
@Suite(.serialized) struct ResourceTests {
  private final class Bulk: Sendable {
    let isOver = Atomic(false)
    let written = Atomic(0)
  }

  @Test(.timeLimit(.minutes(2)))
  func withoutADescriptorLeftANodeServesThoseWhomItHasAndDoesNotSpin() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    _ = try await servers.leader()
    let keeper = try WireClient(to: servers.endpoint(1))
    _ = try keeper.put("k", [1])
    let open = try servers.descriptorCount(of: 1)
    try servers.limitDescriptors(of: 1, to: open + 4)
    var crowd: [StillSocket] = []
    for _ in 0..<40 { crowd.append(try StillSocket(to: servers.endpoint(1))) }
    for _ in 0..<200 where try keeper.status()[.acceptFailures] == 0 { usleep(10_000) }
    #expect(try keeper.status()[.acceptFailures] > 0)
    let before = try servers.processorTicks(of: 1)
    for number in 0..<20 {
      _ = try keeper.put("k", [UInt8(number)])
      try await Task.sleep(for: .milliseconds(50))
    }
    let used = try servers.processorTicks(of: 1) - before
    #expect(used < 40, "hundredths of a second in one second: \(used)")
    // With room again, newcomers are taken.
    crowd = []
    let newcomer = try WireClient(to: servers.endpoint(1))
    #expect(newcomer.hello.verdict == .accepted)
  }

  @Test(.timeLimit(.minutes(2)))
  func connectionsLeaveRoomForTheLog() async throws {
    let servers = try Servers(1, ["--segment-mb", "16"], openFiles: 200)
    defer { servers.end() }
    _ = try await servers.leader()
    #expect(servers.log(1).contains("takes 72 connections at most instead of 20000"))
    var (accepted, refused): ([WireClient], Int) = ([], 0)
    for _ in 0..<150 {
      let client = try WireClient(to: servers.endpoint(1))
      if client.hello.verdict == .accepted { accepted.append(client) } else { refused += 1 }
      if refused > 0 { #expect(client.hello.verdict == .busy) }
    }
    #expect((60...72).contains(accepted.count), "\(accepted.count)")
    // The log goes through several segments meanwhile.
    let value = [UInt8](repeating: 3, count: 1 << 19)
    for _ in 0..<80 { _ = try accepted[0].put("k", value) }
  }

  /// Renewals share a connection with as much as it carries, and a node with as much as it takes.
  @Test(.timeLimit(.minutes(2)))
  func renewalsDoNotStarveBehindBulk() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    _ = try await servers.leader()
    var configuration = ClientConfiguration(endpoints: servers.endpoints)
    configuration.sessionLifetime = .seconds(2)
    let cluster = try Cluster(configuration)
    let bulk = Bulk()
    try await cluster.withLock(.exclusive("held")) { _ in
      await withTaskGroup(of: Void.self) { group in
        for number in 0..<32 {
          group.addTask {
            let value = [UInt8](repeating: UInt8(number), count: 200_000)
            while !bulk.isOver.load(ordering: .relaxed) {
              if (try? await cluster.put([UInt8(number)], value)) != nil {
                bulk.written.add(1, ordering: .relaxed)
              }
            }
          }
        }
        try? await Task.sleep(for: .seconds(8))
        bulk.isOver.store(true, ordering: .relaxed)
      }
    }
    // The lock would have been lost, which throws.
    #expect(bulk.written.load(ordering: .relaxed) > 100)
  }

  /// What a node took from its clients before it was told to stop is answered, and what it answered is there.
  @Test(.timeLimit(.minutes(2)))
  func aStopAnswersWhatWasTaken() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    _ = try await servers.leader()
    let client = try WireClient(to: servers.endpoint(1))
    let session = try client.openSession()
    let number = try servers.processNumber(of: 1)
    let value = [UInt8](repeating: 1, count: 4000)
    for sequence in UInt64(1)...500 {
      let put = Put(key: Array("k\(sequence)".utf8), value: value)
      // The connection may end before the last are sent.
      guard (try? client.send(.operation(.put(put)), of: session, sequence)) != nil else { break }
      if sequence == 300 { kill(number, SIGTERM) }
    }
    var (written, refused) = (0, 0)
    while let frame = try client.next() {
      switch frame.reply {
      case .written: written += 1
      case .failure(let failure):
        #expect(failure.code.execution != .unknown, "\(failure)")
        refused += 1
      default: Issue.record("an answer of another kind: \(frame.kind)")
      }
    }
    #expect(client.isEnded && servers.waitForEnd(of: 1) == 0)
    #expect(written > 0)
    try servers.start(1)
    let cluster = try servers.client()
    let found = try await cluster.count(.prefix(Array("k".utf8)))
    // Nothing that ran went unanswered: who was told nothing was not read any more.
    #expect(found == written, "\(found) are there, \(written) answered, \(refused) refused")
  }
}
