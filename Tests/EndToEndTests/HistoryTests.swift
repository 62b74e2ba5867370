import Foundation
import RoostClient
import RoostPlatform
import RoostWire
import TestSupport
import Testing

/// Real processes under real faults, judged by what their clients saw.
///
/// `ROOST_SOAK_SECONDS=600 swift test --filter HistoryTests` makes each run longer, and pauses up to 30 s long.
@Suite(.serialized) struct HistoryTests {
  private static let soak = ProcessInfo.processInfo.environment["ROOST_SOAK_SECONDS"]
    .flatMap { Int($0) }
  private static let duration = Duration.seconds(soak ?? 12)
  private static let limit = soak.map { 20 + $0 / 30 } ?? 5
  private static let longestPause = soak == nil ? 2000 : 30_000

  /// Lets `count` clients work while `fault` strikes again and again, and for a while after it.
  private static func storm(
    _ count: Int,
    _ clients: RecordedClients,
    of servers: Servers,
    _ fault: () async throws -> Void
  ) async throws {
    try await clients.work(count) {
      let start = ContinuousClock.now
      while ContinuousClock.now - start < duration { try await fault() }
      _ = try await servers.leader()
      try await wait(for: clients)
    }
  }

  private static func sleep(_ milliseconds: ClosedRange<Int>) async throws {
    try await Task.sleep(for: .milliseconds(Int.random(in: milliseconds)))
  }

  /// Lets the clients go on after the faults until there is something to judge, however slow the machine is.
  private static func wait(for clients: RecordedClients) async throws {
    for _ in 0..<600 where clients.answered < 200 {
      try await Task.sleep(for: .milliseconds(100))
    }
  }

  private static func check(_ clients: RecordedClients) {
    clients.judge()
    #expect(clients.answered >= 200, "\(clients.answered) answers, \(clients.unknown) unknown")
  }

  @Test(.timeLimit(.minutes(limit)))
  func killedNodesLoseAndRepeatNothing() async throws {
    let servers = try Servers(3, ["--snapshot-mb", "1"])
    defer { servers.end() }
    _ = try await servers.leader()
    let clients = RecordedClients(of: servers)
    try await Self.storm(6, clients, of: servers) {
      try await Self.sleep(300...1500)
      let victims =
        Bool.random() ? [try await servers.leader()] : Array((1...3).shuffled().prefix(2))
      for victim in victims { servers.crash(victim) }
      try await Self.sleep(0...500)
      for victim in victims { try servers.start(victim) }
    }
    Self.check(clients)
  }

  @Test(.timeLimit(.minutes(limit)))
  func pausedNodesServeNothingOldWhenTheyWake() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    _ = try await servers.leader()
    let clients = RecordedClients(of: servers)
    try await Self.storm(6, clients, of: servers) {
      try await Self.sleep(200...900)
      let victim = Int.random(in: 0..<3) < 2 ? try await servers.leader() : Int.random(in: 1...3)
      servers.pause(victim)
      try await Self.sleep(200...Self.longestPause)
      servers.resume(victim)
    }
    Self.check(clients)
  }

  /// Hundreds of connections come and go at once, many in the middle of a hello or a frame.
  @Test(.timeLimit(.minutes(limit)))
  func aStormOfConnectionsHarmsNobodyElse() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    _ = try await servers.leader()
    let clients = RecordedClients(of: servers)
    let before = try (1...3).map { try servers.descriptorCount(of: $0) }
    try await Self.storm(4, clients, of: servers) {
      for node in 1...3 {
        var storm: [WireClient] = []
        for _ in 0..<100 {
          guard let one = try? WireClient(to: servers.endpoint(node)) else { continue }
          try one.send([UInt8](repeating: 0, count: .random(in: 0...30)))
          storm.append(one)
        }
        #expect(storm.count > 90)
      }
      try await Self.sleep(10...100)
    }
    Self.check(clients)
    // What came has gone.
    for node in 1...3 {
      var count = try servers.descriptorCount(of: node)
      for _ in 0..<100 where count > before[node - 1] {
        try await Task.sleep(for: .milliseconds(20))
        count = try servers.descriptorCount(of: node)
      }
      #expect(count <= before[node - 1], "node \(node) has \(count) descriptors")
    }
  }

  /// A prepared segment has to be used up before anything is missing, which the clients alone do slowly.
  private static func writeUntilADiskIsFull(_ servers: Servers) async throws {
    // Who leads when the first disk is full may change, and a call that can't be answered is of no use here.
    let filler = try servers.client(timeout: .seconds(1))
    let large = [UInt8](repeating: 7, count: 1 << 19)
    let start = ContinuousClock.now
    while !servers.anyLog(contains: "the disk is full"), ContinuousClock.now - start < .seconds(60)
    {
      _ = try? await filler.put([9], large)
    }
    await filler.close()
  }

  /// A disk that fills up refuses writes, keeps what it acknowledged, and goes on when there is room.
  @Test(.timeLimit(.minutes(limit)))
  func aFullDiskLosesNothingAndRecovers() async throws {
    let servers = try Servers(3, diskMegabytes: 400)
    defer { servers.end() }
    guard servers.hasOwnDisks else { return }
    _ = try await servers.leader()
    let clients = RecordedClients(of: servers)
    try await clients.work(4) {
      try await Self.sleep(1000...1500)
      let leader = try await servers.leader()
      for node in [leader, leader % 3 + 1] { try servers.fillDisk(of: node) }
      // Two of three disks are full: nothing can be committed, and no client is told that it was.
      try await Self.writeUntilADiskIsFull(servers)
      for node in [leader, leader % 3 + 1] { try servers.emptyDisk(of: node) }
      try await Task.sleep(for: .seconds(3))
      try await Self.wait(for: clients)
    }
    #expect(servers.anyLog(contains: "the disk is full"))
    #expect(servers.anyLog(contains: "has room again"))
    Self.check(clients)
    let cluster = try servers.client()
    try await cluster.put([1], [2])
    for node in 1...3 { servers.crash(node) }
    for node in 1...3 { try servers.start(node) }
    let found = try await cluster.get([1])
    #expect(found?.value == [2])
  }
}
