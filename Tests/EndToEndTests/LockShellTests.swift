import Foundation
import RoostClient
import Testing

/// `kvctl lock NAME -- COMMAND` while things go wrong: nobody ever works under a lock that another may have.
@Suite(.serialized) struct LockShellTests {
  private static func lock(
    _ servers: Servers,
    _ options: [String],
    _ script: String
  ) throws -> KvctlProcess {
    try KvctlProcess(
      ["lock", "l"] + options + ["--", "/bin/sh", "-c", script],
      endpoints: servers.endpoints
    )
  }

  private static func wait(until isDone: () async throws -> Bool) async throws {
    for _ in 0..<600 {
      if try await isDone() { return }
      try await Task.sleep(for: .milliseconds(25))
    }
    Issue.record("it never came")
  }

  private static func isAlive(_ number: Int32) -> Bool {
    guard let stat = try? String(contentsOfFile: "/proc/\(number)/stat", encoding: .utf8) else {
      return false
    }
    return stat.split(separator: ")").last?.hasPrefix(" Z") == false
  }

  /// Waits for a number that a command has written.
  private static func number(in path: String) async throws -> Int32 {
    var found: Int32?
    try await wait {
      let text = try? String(contentsOfFile: path, encoding: .utf8)
      found = text.flatMap { $0.hasSuffix("\n") ? Int32($0.dropLast()) : nil }
      return found != nil
    }
    return try #require(found)
  }

  @Test(.timeLimit(.minutes(5)))
  func theCommandsExitCodeIsThatOfTheLock() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    _ = try await servers.leader()
    let done = try await Self.lock(servers, [], "echo $ROOST_LOCK $ROOST_TOKEN; exit 7").end()
    #expect(done.code == 7 && done.output == "l 1\n", "\(done.complaint)")
    let second = try await Self.lock(servers, [], "echo $ROOST_TOKEN; kill -9 $$").end()
    #expect(second.code == 137 && second.output == "2\n", "\(second.complaint)")
    let missing = try KvctlProcess(["lock", "l", "--", "/nowhere"], endpoints: servers.endpoints)
    #expect(await missing.end().code == 126)
    let held = try servers.client()
    _ = try await held.acquire("l")
    let busy = try await Self.lock(servers, ["--wait", "0"], "echo never").end()
    #expect(busy.code == 121 && busy.output.isEmpty)
    let late = try await Self.lock(servers, ["--wait", "0.3"], "echo never").end()
    #expect(late.code == 121 && late.output.isEmpty)
  }

  @Test(.timeLimit(.minutes(5)))
  func aSignalGoesToTheCommandAndTheLockIsGivenBack() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    _ = try await servers.leader()
    let path = servers.folder + "/command"
    let run = try Self.lock(servers, ["--ttl", "30"], "echo $$ > \(path); exec sleep 60")
    _ = try await Self.number(in: path)
    run.signal(SIGTERM)
    #expect(await run.end().code == 143)
    let next = try servers.client()
    let grant = try await next.acquire("l", waitingAtMost: .seconds(5))
    #expect(grant.token == 2)
  }

  @Test(.timeLimit(.minutes(5)))
  func afterAKilledHolderTheNextGetsTheLockWhenItsLeaseIsOver() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    _ = try await servers.leader()
    let path = servers.folder + "/command"
    let run = try Self.lock(servers, ["--ttl", "3"], "trap '' TERM; echo $$ > \(path); sleep 60")
    let command = try await Self.number(in: path)
    let next = try servers.client()
    let clock = ContinuousClock()
    run.kill()
    let killed = clock.now
    let grant = try await next.acquire("l")
    let waited = clock.now - killed
    // It had been renewed at most a third of its life before.
    #expect(waited > .seconds(1.8) && waited < .seconds(6), "\(waited)")
    #expect(!Self.isAlive(command), "the command is gone before another has the lock")
    #expect(grant.token == 2)
  }

  @Test(.timeLimit(.minutes(5)))
  func aHolderThatWasStoppedPastItsLeaseFindsItsCommandDeadAndItsWritesRefused() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    _ = try await servers.leader()
    let path = servers.folder + "/command"
    let run = try Self.lock(servers, ["--ttl", "2"], "echo $$ > \(path); sleep 60")
    let command = try await Self.number(in: path)
    run.signal(SIGSTOP)
    let next = try servers.client()
    let grant = try await next.acquire("l")
    #expect(grant.token == 2)
    #expect(!Self.isAlive(command), "it is stopped though kvctl could not see to it")
    run.signal(SIGCONT)
    let result = await run.end()
    #expect(result.code == 120, "\(result.complaint)")
    let guarded = ["put", "k", "old", "--lock", "l", "--token", "1"]
    let refused = try Kvctl(guarded, endpoints: servers.endpoints)
    #expect(
      refused.code == 1 && refused.complaint.contains("no longer holds"),
      "\(refused.complaint)"
    )
    let current = try Kvctl(Array(guarded.dropLast()) + ["2"], endpoints: servers.endpoints)
    #expect(current.code == 0)
  }

  @Test(.timeLimit(.minutes(5)))
  func aHolderThatReachesNobodyStopsItsCommandInTime() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    _ = try await servers.leader()
    let path = servers.folder + "/command"
    let run = try Self.lock(servers, ["--ttl", "10"], "echo $$ > \(path); sleep 60")
    _ = try await Self.number(in: path)
    // A tenth of the ten seconds is kept in hand: enough for a machine on which all suites run at once.
    let clock = ContinuousClock()
    let paused = clock.now
    servers.pause(1)
    let command = try await Self.number(in: path)
    try await Self.wait { !Self.isAlive(command) }
    #expect(clock.now - paused < .seconds(10))
    servers.resume(1)
    #expect(await run.end().code == 120)
  }

  @Test(.timeLimit(.minutes(5)))
  func aPutWhoseReplyWasLostTakesEffectOnce() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    let leader = try await servers.leader()
    let cluster = try servers.client()
    let key = Array("n".utf8)
    // Additions are under way while their leader is killed: the replies of some are lost.
    async let sums = withThrowingTaskGroup(of: Int64?.self) { group in
      for _ in 0..<300 { group.addTask { try await cluster.add(1, to: key).number } }
      var all: [Int64] = []
      for try await sum in group { all.append(sum ?? 0) }
      return all
    }
    servers.crash(leader)
    try servers.start(leader)
    let found = try await sums
    #expect(found.sorted() == Array(1...300))
    let stored = try await cluster.get(key)
    #expect(stored.map { String(decoding: $0.value, as: UTF8.self) } == "300")
  }
}
