import Foundation
import RoostClient
import Testing

/// The client library against real servers.
@Suite(.serialized) struct ClientTests {
  private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
  private static func text(_ bytes: [UInt8]?) -> String? {
    bytes.map { String(decoding: $0, as: UTF8.self) }
  }

  @Test(.timeLimit(.minutes(5)))
  func keysAreWrittenChangedListedAndRemoved() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    let cluster = try servers.client()
    for number in 0..<700 {
      try await cluster.put(Self.bytes("k/\(1000 + number)"), Self.bytes("\(number)"))
    }
    let all = try await cluster.list(.prefix(Self.bytes("k/")))
    #expect(all.values.count == 700 && all.next == nil && all.revision == 700)
    #expect(
      all.values.map(\.key) == all.values.map(\.key).sorted { $0.lexicographicallyPrecedes($1) }
    )
    var query = PageQuery()
    query.limit = 3
    query.isReverse = true
    query.keysOnly = true
    let last = try await cluster.list(.prefix(Self.bytes("k/")), query)
    #expect(last.values.map { Self.text($0.key) } == ["k/1699", "k/1698", "k/1697"])
    let counted = try await cluster.count(.all)
    #expect(counted == 700)
    let removed = try await cluster.deleteRange(.prefix(Self.bytes("k/10")))
    #expect(removed.count == 100)
    let past = try await cluster.get(Self.bytes("k/1000"), at: 700)
    #expect(Self.text(past?.value) == "0")
    let sum = try await cluster.add(5, to: Self.bytes("n"))
    let low = try await cluster.lower(Self.bytes("n"), to: 2)
    let long = try await cluster.append(
      Self.bytes("!"),
      to: Self.bytes("n"),
      PutOptions(wantsPrevious: true)
    )
    #expect(sum.number == 5 && low.number == 2 && long.number == 2)
    #expect(Self.text(long.previous?.value) == "2")
    let refused = await #expect(throws: ClientError.self) {
      try await cluster.put(Self.bytes("n"), [1], PutOptions(if: .version(1)))
    }
    #expect(refused?.mayHaveHappened == false)
  }

  @Test(.timeLimit(.minutes(5)))
  func aTransactionTakesOneOfTwoWays() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    let cluster = try servers.client()
    let (a, b) = (Self.bytes("a"), Self.bytes("b"))
    var move = TransactionRequest()
    move.require(.exists(a))
    move.put(b, Self.bytes("x"))
    move.delete(a)
    move.otherwise {
      $0.put(a, Self.bytes("made"))
      $0.get(a)
    }
    let first = try await cluster.perform(move)
    #expect(!first.succeeded && first.steps.count == 2 && first.revision == 1)
    guard case .value(let found) = first.steps.last else {
      Issue.record("\(first.steps)")
      return
    }
    #expect(Self.text(found?.value) == "made")
    let second = try await cluster.perform(move)
    let gone = try await cluster.get(a)
    #expect(second.succeeded && gone == nil)
  }

  @Test(.timeLimit(.minutes(5)))
  func keysGoWithTheirLease() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    let cluster = try servers.client()
    let lease = try await cluster.grantLease(.milliseconds(500))
    try await cluster.put(Self.bytes("k"), [1], PutOptions(life: .lease(lease.id)))
    await cluster.keep(lease)
    try await Task.sleep(for: .seconds(1))
    let kept = try await cluster.get(Self.bytes("k"))
    #expect(kept?.lease == lease.id)
    let seen = try await cluster.lease(lease.id)
    #expect(seen?.keys == [Self.bytes("k")] && seen?.report.keyCount == 1)
    async let end = cluster.end(of: lease)
    try await cluster.revoke(lease.id)
    #expect(await end)
    let gone = try await cluster.get(Self.bytes("k"))
    #expect(gone == nil)
  }

  @Test(.timeLimit(.minutes(5)))
  func aLockPassesFromHolderToHolder() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    let clusters = try (0..<4).map { _ in try servers.client() }
    let key = Self.bytes("count")
    try await withThrowingTaskGroup(of: UInt64.self) { group in
      for cluster in clusters {
        for _ in 0..<5 {
          group.addTask {
            try await cluster.withLock(.exclusive("l")) { grant in
              // Without the lock, some of these would overwrite others.
              let old = try await cluster.get(key)
              let number = Int(Self.text(old?.value) ?? "") ?? 0
              let guarded = PutOptions(guardedBy: grant)
              try await cluster.put(key, Self.bytes("\(number + 1)"), guarded)
              return grant.token
            }
          }
        }
      }
      var tokens: Set<UInt64> = []
      for try await token in group { tokens.insert(token) }
      #expect(tokens.count == 20)
    }
    let count = try await clusters[0].get(key)
    #expect(Self.text(count?.value) == "20")
    let locks = try await clusters[0].locks()
    #expect(locks.isEmpty)
  }

  @Test(.timeLimit(.minutes(2)))
  func listsGoOnBehindTheirFirstPage() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    let cluster = try servers.client()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<300 {
        group.addTask {
          _ = try await cluster.grantLease(.seconds(60))
          _ = try await cluster.acquire("lock \(number)")
        }
      }
      try await group.waitForAll()
    }
    let session = try #require(await cluster.session())
    try await cluster.put(Self.bytes("mine"), [1], PutOptions(life: .lease(session)))
    func lines(_ words: String...) throws -> [String] {
      try Kvctl(words, endpoints: servers.endpoints).output.split(separator: "\n").map {
        String($0)
      }
    }
    #expect(try lines("lease", "list").count == 300)
    #expect(try lines("lock", "list").count == 300)
    let sessions = try lines("session", "list").map { $0.split(separator: "\t") }
    let own = try #require(sessions.first { $0.first == "\(session)" })
    #expect(own[3] == "1" && own[4] == "300", "\(own)")
    #expect(try lines("lease", "show", "\(session)").last == "mine")
    await cluster.close()
  }

  @Test(.timeLimit(.minutes(5)))
  func aLockThatIsTakenAwayCancelsTheWork() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    let cluster = try servers.client()
    let operators = try servers.client()
    let work = Task {
      try await cluster.withLock(.exclusive("l")) { grant in
        try await operators.forceRelease("l")
        try await Task.sleep(for: .seconds(50))
      }
    }
    await #expect(throws: ClientError.lockLost(.forced)) { try await work.value }
    let busy = try await cluster.acquire("l")
    await #expect(throws: ClientError.self) {
      _ = try await operators.acquire("l", waitingAtMost: .zero)
    }
    try await cluster.release(busy)
  }

  @Test(.timeLimit(.minutes(5)))
  func aHolderThatReachesNobodyStopsBeforeItsSessionEnds() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    var configuration = ClientConfiguration(endpoints: servers.endpoints)
    configuration.sessionLifetime = .seconds(2)
    configuration.timeout = .milliseconds(500)
    let cluster = try Cluster(configuration)
    let (holding, holds) = AsyncStream.makeStream(of: Void.self)
    let work = Task {
      try await cluster.withLock(.exclusive("l")) { _ in
        holds.yield()
        try await Task.sleep(for: .seconds(20))
      }
    }
    for await _ in holding { break }
    let clock = ContinuousClock()
    let paused = clock.now
    servers.pause(1)
    await #expect(throws: ClientError.lockLost(.unproven)) { try await work.value }
    // Its last renewal was before the pause; the attempt to give the lock back took another half second.
    #expect(clock.now - paused < .milliseconds(2600))
    servers.resume(1)
  }

  @Test(.timeLimit(.minutes(5)))
  func tasksThatWaitForEachOtherAreToldSo() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    let cluster = try servers.client()
    let first = Task {
      try await cluster.withLock(.exclusive("a")) { _ in
        try await Task.sleep(for: .milliseconds(300))
        try await cluster.withLock(.exclusive("b")) { _ in }
      }
    }
    let second = Task {
      try await cluster.withLock(.exclusive("b")) { _ in
        try await Task.sleep(for: .milliseconds(300))
        try await cluster.withLock(.exclusive("a")) { _ in }
      }
    }
    let results = [await first.result, await second.result]
    let failures = results.compactMap { result -> ClientError? in
      if case .failure(let error) = result { error as? ClientError } else { nil }
    }
    #expect(failures.count == 1)
    guard case .refused(let refusal) = failures.first else { return }
    #expect(refusal.code == 26, "\(refusal)")
  }

  @Test(.timeLimit(.minutes(5)))
  func aWatchSeesEveryChangeOnceWhileLeadersAreKilled() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    _ = try await servers.leader()
    let watcher = try servers.client()
    let writer = try servers.client()
    let watch = try await watcher.watch(.prefix(Self.bytes("w/")))
    let reader = Task {
      var seen: [Change] = []
      for try await change in watch {
        seen.append(change)
        if seen.count == 400 { break }
      }
      return seen
    }
    for number in 0..<400 {
      if number % 150 == 100 {
        let leader = try await servers.leader()
        servers.crash(leader)
        try servers.start(leader)
      }
      try await writer.put(Self.bytes("w/\(number)"), Self.bytes("\(number)"))
    }
    let seen = try await reader.value
    #expect(seen.map { Self.text($0.value) } == (0..<400).map { "\($0)" })
    #expect(zip(seen, seen.dropFirst()).allSatisfy { $0.revision < $1.revision })
  }

  @Test(.timeLimit(.minutes(5)))
  func aWatchBeginsInThePastAndASlowReaderMissesNothing() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    let cluster = try servers.client()
    let big = [UInt8](repeating: 1, count: 200_000)
    for number in 0..<10 { try await cluster.put(Self.bytes("k\(number)"), big) }
    let watch = try await cluster.watch(.all, from: 1)
    for number in 10..<60 { try await cluster.put(Self.bytes("k\(number)"), big) }
    var revisions: [UInt64] = []
    for try await change in watch {
      revisions.append(change.revision)
      if revisions.count == 60 { break }
    }
    #expect(revisions == Array(1...60))
  }
}
